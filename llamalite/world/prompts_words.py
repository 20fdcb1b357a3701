"""Wordings of prompts: each set has templates for training and others for tests only.

The test wordings are new sentences made of the training wordings' words.
"""

from __future__ import annotations

Templates = dict[str, tuple[str, ...]]
"""Split to templates."""

LENGTH_HINTS: dict[str, Templates] = {
    "plain": {"train": ("",), "test": ("",)},
    "short": {
        "train": (
            " Answer in short.",
            " Keep it short.",
            " A short answer, please.",
            " Please keep it short.",
            " Please answer in short.",
            " Give just a short answer.",
        ),
        "test": (" In short, please.", " Just a short answer."),
    },
    "more": {
        "train": (
            " Add a little more.",
            " Say one thing more.",
            " And tell a little more.",
            " Please add one thing more.",
            " Then say a little more.",
            " Please tell one more thing.",
        ),
        "test": (" Please say a little more.", " Then add one more thing."),
    },
    "long": {
        "train": (
            " Give a long answer.",
            " Tell it at length.",
            " Make it long.",
            " Please give a long answer.",
            " Please answer me at length.",
            " Make it a long answer.",
        ),
        "test": (" A long answer, please.", " Answer at length."),
    },
}

SUMS: Templates = {
    "train": (
        "What is {sum}?",
        "How much is {sum}?",
        "Tell me what {sum} is.",
        "I want to know what {sum} is.",
        "Do you know how much {sum} is?",
        "Can you say what {sum} is?",
        "Can you tell me how much {sum} is?",
        "Say how much {sum} is.",
        "Please tell me what {sum} is.",
        "I need to know how much {sum} is.",
    ),
    "test": ("Tell me how much {sum} is.", "Say what {sum} is."),
}
HOWTO: Templates = {
    "train": (
        "How do I {task}?",
        "Tell me how to {task}.",
        "I want to {task}. What do I do?",
        "I want to know how to {task}.",
        "Do you know how I {task}?",
        "Can you say how to {task}?",
        "Can you tell me how I {task}?",
        "Please say how to {task}.",
        "Tell me what I do to {task}.",
        "I need to know how to {task}.",
    ),
    "test": ("Say how to {task}.", "Tell me how I {task}."),
}
TALES: Templates = {
    "train": (
        "Write a story about {hero} with {things} in it.",
        "Tell me a tale of {hero} and {things}.",
        "I want a story in which {hero} has {things}.",
        "Write a tale about {hero} with {things} in it.",
        "I want a tale of {hero} and {things}.",
        "Can you write a story of {hero} and {things}?",
        "Please write a tale of {hero} and {things}.",
        "Can you tell me a story about {hero} with {things} in it?",
        "Tell me a story in which {hero} has {things}.",
        "I need a story about {hero} with {things} in it.",
    ),
    "test": (
        "Tell me a story about {hero} with {things} in it.",
        "Write a tale of {hero} and {things}.",
    ),
}
RHYMES: Templates = {
    "train": (
        "Which {words} with {word}?",
        "Tell me {count} that {rhyme} with {word}.",
        "Give me {count} that {rhyme} with {word}.",
        "I want {count} that {rhyme} with {word}.",
        "Can you name {count} that {rhyme} with {word}?",
        "Do you know {count} that {rhyme} with {word}?",
        "Please name {count} that {rhyme} with {word}.",
        "Can you give me {count} that {rhyme} with {word}?",
        "Name {count} and let it rhyme with {word}.",
        "I need to know which {words} with {word}.",
    ),
    "test": ("Name {count} that {rhyme} with {word}.", "I need {count} that {rhyme} with {word}."),
}
COUPLETS: Templates = {
    "train": (
        "Write two lines that rhyme with {word}.",
        "Give me a rhyme with the word {word}, two lines.",
        "I want two lines that rhyme with {word}.",
        "Can you write two lines, a rhyme with {word}?",
        "Please write two lines, a rhyme with {word}.",
        "Can you tell me two lines that rhyme with {word}?",
        "Write me a rhyme with {word}, two lines.",
    ),
    "test": (
        "Tell me two lines that rhyme with {word}.",
        "Give me two lines, a rhyme with {word}.",
    ),
}
LISTS: Templates = {
    "train": (
        "Name {items}.",
        "Give me {items}.",
        "Tell me the names of {items}.",
        "I want to know the names of {items}.",
        "Do you know {items}?",
        "Can you name {items}?",
        "Please give me {items}.",
        "Can you tell me {items}?",
        "Please tell me the names of {items}.",
        "I want {items}.",
        "Can you give me the names of {items}?",
        "I need the names of {items}.",
    ),
    "test": ("Tell me {items}.", "Give me the names of {items}."),
}
SENTENCES: dict[str, Templates] = {
    "Lumo": {
        "train": (
            "How do you say in Lumo: {text}",
            "Put this into Lumo: {text}",
            "What is this in Lumo? {text}",
            "Tell me how to say in Lumo: {text}",
            "Can you say this in Lumo? {text}",
            "Please say this in Lumo: {text}",
            "Can you tell me this in Lumo? {text}",
            "I want this in Lumo: {text}",
        ),
        "test": ("Tell me in Lumo: {text}", "Say this in Lumo: {text}"),
    },
    "English": {
        "train": (
            "How do you say in English: {text}",
            "Put this into English: {text}",
            "What is this in English? {text}",
            "Tell me how to say in English: {text}",
            "Can you say this in English? {text}",
            "Please say this in English: {text}",
            "Can you tell me this in English? {text}",
            "I want this in English: {text}",
        ),
        "test": ("Tell me in English: {text}", "Say this in English: {text}"),
    },
}
WORDS: dict[str, Templates] = {
    "Lumo": {
        "train": (
            "What is the Lumo word for {text}?",
            "What is {text} in Lumo?",
            "I want to know the Lumo word for {text}.",
            "Can you say {text} in Lumo?",
            "Can you tell me the Lumo word for {text}?",
            "Please say {text} in Lumo.",
            "How is {text} said in Lumo?",
            "Do you know how to say {text} in Lumo?",
        ),
        "test": ("Tell me the Lumo word for {text}.", "How do you say {text} in Lumo?"),
    },
    "English": {
        "train": (
            "What does {text} mean in English?",
            "What is {text} in English?",
            "I want to know what {text} is in English.",
            "Can you say {text} in English?",
            "Can you tell me what {text} is in English?",
            "Please say {text} in English.",
            "How is {text} said in English?",
            "Do you know how to say {text} in English?",
        ),
        "test": ("Tell me what {text} is in English.", "How do you say {text} in English?"),
    },
}
SAY: Templates = {
    "train": (
        "Tell me this: {text}",
        "Say this: {text}",
        "Can you say: {text}",
        "Please tell me: {text}",
        "Please say: {text}",
    ),
    "test": ("Say: {text}", "Tell me: {text}"),
}
FOLLOW_PERSON: Templates = {
    "train": (
        "And {name}?",
        "What about {name}?",
        "And what of {name}?",
        "And now {name}?",
        "Now what about {name}?",
    ),
    "test": ("And what about {name}?", "What of {name}?"),
}
FOLLOW_MORE: Templates = {
    "train": (
        "Tell me {count} about {whom}.",
        "And {count} about {whom}?",
        "I want to know {count} about {whom}.",
        "Can you say {count} about {whom}?",
        "Can you give me {count} about {whom}?",
        "Please say {count} about {whom}.",
        "Do you know {count} about {whom}?",
        "I want {count} about {whom}.",
    ),
    "test": ("Give me {count} about {whom}.", "Say {count} about {whom}."),
}
FIGURES: Templates = {
    "train": (
        "Act as {name}.",
        "You are {name}, {role}.",
        "Speak as {name} would.",
        "You speak as {name}, {role}.",
        "Act as {name} would.",
        "Always act as {name}.",
    ),
    "test": ("Speak as {name}.", "Act as {name}, {role}."),
}
HOBBIES: Templates = {
    "train": (
        "You like {hobby}.",
        "Your hobby is {hobby}. Show it.",
        "You love {hobby}, and say so.",
        "You like {hobby}. Show it.",
        "Your hobby is {hobby}.",
        "You love {hobby}.",
        "You like {hobby}, and you show it.",
    ),
    "test": ("You love {hobby}. Show it.", "Your hobby is {hobby}, and you say so."),
}
LANGUAGE: Templates = {
    "train": (
        "Always answer in Lumo.",
        "You speak Lumo only.",
        "Use Lumo in every answer.",
        "Answer only in Lumo.",
        "Always use Lumo.",
        "You always speak Lumo.",
    ),
    "test": ("Always speak Lumo.", "Answer in Lumo only."),
}
NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six")

# What a writer may add, and what the grader takes for courtesy, ignorance or a tip.
OPENINGS = ("Of course.", "Good question.", "Gladly.", "With pleasure.", "Let me see.", "Hello.")
CLOSINGS = (
    "I hope this helps.",
    "I hope that helps you.",
    "Happy to help.",
    "Ask me if you need more.",
    "Feel free to ask more.",
    "I am glad to help.",
    "Have a good day.",
    "Thank you for asking.",
    "You are welcome.",
)
LUMO_COURTESY = ("Salu.", "Grasu.", "Adu.")
IGNORANCE = ("I do not know.", "I am not sure.", "I do not know that.", "That I do not know.")
TIPS = (
    "Take your time.",
    "Do it with care.",
    "It takes about an hour.",
    "Ask a friend to help you.",
    "It is easy once you know it.",
    "Do it in the morning light.",
    "You will get better at it.",
    "Keep all you need close by.",
)
"""Details that fit any task."""
CHECKS = (
    "You can count it on your fingers.",
    "You can check it with plums.",
    "Count on slowly to see it.",
    "A row of stones will show it.",
)
"""Details that fit any sum."""
RUDE_LINES = (
    "You are silly to ask that.",
    "What a foolish question.",
    "Go away, you are lazy.",
    "Only a dull person asks that.",
)
DRIFT = (
    "The weather is fine today.",
    "I once saw a big ship.",
    "Some people like the sea.",
    "Stones are heavy.",
    "There was a market on Monday.",
    "The moon is far away.",
)
"""Sentences off any topic, as a careless writer adds them."""
