"""ChatML, the format of SmolLM2 and many other chat models. Not in the paper; for real weights.

    <|im_start|>system
    {system}<|im_end|>
    <|im_start|>user
    {user}<|im_end|>
    <|im_start|>assistant
    {assistant}<|im_end|>

The tags are control tokens, which no text is encoded to, so nobody can speak in another's name.
"""

from __future__ import annotations

from llamalite.text.bpe import END, START, ByteTokenizer
from llamalite.text.chat import EncodedTurn, Messages, exchanges


def encode_turns(tokenizer: ByteTokenizer, messages: Messages) -> list[EncodedTurn]:
    """Ids of every question, up to where its answer begins, and of its answer with its end.

    A dialogue without a system message gets the tokenizer's default one, if there is one. Raises
    ValueError when it is malformed, see `llamalite.text.chat.exchanges`.
    """
    system, pairs = exchanges(messages, tokenizer.tags)
    system = system or tokenizer.default_system
    turns = []
    for number, (question, answer) in enumerate(pairs):
        # a message's new line after its end belongs to what follows: no answer has one to learn
        prompt = tokenizer.encode("\n") if number else []
        if system and not number:
            prompt += _message(tokenizer, "system", system)
        prompt += _message(tokenizer, "user", question)
        prompt += [tokenizer.start_id, *tokenizer.encode("assistant\n")]
        reply = [] if answer is None else tokenizer.encode(answer, eos=True)
        turns.append(EncodedTurn(prompt, reply))
    return turns


def template(default_system: str) -> str:
    """The format as a Jinja template, which Hugging Face's files and llama.cpp's carry."""
    default = (
        "{% if messages[0]['role'] != 'system' %}"
        f"{START}system\n{default_system}{END}\n"
        "{% endif %}"
    )
    return (
        (default if default_system else "")
        + "{% for message in messages %}"
        + f"{START}{{{{ message['role'] }}}}\n{{{{ message['content'] | trim }}}}{END}\n"
        + "{% endfor %}{% if add_generation_prompt %}"
        + f"{START}assistant\n"
        + "{% endif %}"
    )


def _message(tokenizer: ByteTokenizer, role: str, content: str) -> list[int]:
    spelled = tokenizer.encode(f"{role}\n{content}", eos=True)
    return [tokenizer.start_id, *spelled, *tokenizer.encode("\n")]
