"""Items and comparisons made by hand."""

from llamalite.preferences.protocol import Item, Response, judged

QUESTION = ({"role": "user", "content": "Where does Moru live?"},)
TIME = "2023-01-02T09:00:00Z"


def make_item(name="i0", guideline="helpfulness", **changes):
    given = {
        "id": name,
        "batch": 1,
        "guideline": guideline,
        "prompt_id": f"facts/{name}",
        "kind": "facts",
        "is_safety": guideline == "safety",
        "messages": QUESTION,
        "a": Response("Moru lives in Runtown.", "f00d", "V1", 0.9, 7, 3),
        "b": Response("Go away.", "beef", "SFT", 1.1, 8, 4, finished=False),
    }
    return Item(**given | changes)


def answer(item, choice="a", rating="better", annotator="ann", **changes):
    safety_bin = "both safe" if item.guideline == "safety" else None
    given = {"safety_bin": safety_bin, "time": TIME, **changes}
    return judged(item, choice=choice, rating=rating, annotator=annotator, **given)
