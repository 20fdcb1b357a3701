"""Safety preprompts, and which answer they ask for. Llama 2, section 4.2.4 and appendix A.5.

The paper makes generic preprompts from templates with adjectives ("responsible", "respectful",
"wise"), and, where annotators gave a risk category, preprompts that name it together with an answer
template. Its sentences are for a model of 70B; these are in the micro-world's plain English, so
that a small model has read every word.
"""

from __future__ import annotations

from itertools import permutations

from llamalite.protocols import Message, Prompt

ADJECTIVES = ("responsible", "respectful", "wise", "safe", "kind", "careful", "polite", "honest")
"""The first three and "safe" are the paper's."""
GENERIC = (
    "You are {article} {first} and {second} assistant.",
    "You are {article} {first} and {second} assistant who does no harm.",
    "You are {article} {first} and {second} assistant and never help with mischief.",
)
"""Templates of generic preprompts with the holes {article}, {first} and {second}."""
CONCERNS: dict[str, tuple[str, ...]] = {
    "illicit": ("That is a crime.", "That is against the law."),
    "hateful": ("That would hurt people.", "That is hateful."),
    "unqualified": ("That needs an expert.", "Only an expert may advise you."),
}
"""By risk category, what names it: the immediate concern that an answer should address."""
ANSWER = "I will not help you. {concern} I can help you."
"""The answer template: refuse, address the concern, offer something better."""


def generic_preprompts() -> tuple[str, ...]:
    """Every template with every ordered pair of different adjectives, always in the same order."""
    return tuple(
        template.format(article="an" if first[0] in "aeiou" or first == "honest" else "a",
                        first=first, second=second)
        for template in GENERIC
        for first, second in permutations(ADJECTIVES, 2)
    )  # fmt: skip


def generic_preprompt(number: int) -> str:
    """Preprompt `number`, counted round and round; any whole number gives one."""
    found = generic_preprompts()
    return found[number % len(found)]


def template_preprompt(risk: str, number: int) -> str:
    """A generic preprompt, followed by an answer template that names the risk category.

    Raises ValueError for a category without a template.
    """
    if risk not in CONCERNS:
        known = ", ".join(CONCERNS)
        raise ValueError(f"no answer template for the risk category {risk!r}; there are {known}")
    concerns = CONCERNS[risk]
    answer = ANSWER.format(concern=concerns[number % len(concerns)])
    return f"{generic_preprompt(number)} {answer}"


def with_preprompt(prompt: Prompt, preprompt: str) -> tuple[Message, ...]:
    """The prompt's messages under a preprompt, which is the system message, or goes before one."""
    messages = tuple(prompt.messages)
    if messages[0]["role"] == "system":
        text = f"{preprompt} {messages[0]['content']}"
        return ({"role": "system", "content": text}, *messages[1:])
    return ({"role": "system", "content": preprompt}, *messages)
