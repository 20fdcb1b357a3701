"""Things one can learn to do: each a task with its steps in order."""

from __future__ import annotations

from typing import NamedTuple


class HowTo(NamedTuple):
    """A task, as it stands after "how to", and its steps as commands without a full stop."""

    task: str
    steps: tuple[str, ...]


def _howto(task: str, steps: str) -> HowTo:
    return HowTo(task, tuple(step.strip() for step in steps.split(";")))


HOWTOS: tuple[HowTo, ...] = (
    _howto("bake bread", "mix flour and water; let the dough rest; form a loaf; bake it well"),
    _howto("make tea", "boil the water; add the leaves; wait a little; pour it into a cup"),
    _howto("plant a tree", "dig a hole; set the tree in; fill in the earth; water it"),
    _howto("catch a fish", "find a worm; put it on the hook; sit still; pull the line"),
    _howto("paint a door", "wash the door; stir the paint; brush it on; let it dry"),
    _howto("milk a goat", "bring the goat; wash your hands; milk it gently"),
    _howto("build a fire", "gather dry wood; lay small sticks; light them; add a log"),
    _howto("wash a coat", "fill a tub; add some soap; rub the coat; hang it up"),
    _howto("fly a kite", "go to a hill; hold the string; run with the wind; let it rise"),
    _howto("cook soup", "cut the roots; heat the pot; add salt; stir it; serve it hot"),
    _howto("mend a sock", "find the hole; thread a needle; sew it shut; cut the thread"),
    _howto("write a letter", "take a pen; greet your friend; tell your news; sign your name"),
    _howto("feed a horse", "fill a sack with hay; go to the stable; hold it out"),
    _howto("tune a fiddle", "listen to a string; turn the peg; listen again; try the next one"),
    _howto("sweep a floor", "move the chairs; take the broom; sweep to the door"),
    _howto("make honey cake", "beat the eggs; stir in honey; add flour; bake it slowly"),
    _howto("sharpen a knife", "wet the stone; lay the blade flat; draw it along; wipe it dry"),
    _howto("draw a map", "mark the town; draw the roads; add the river; write the names"),
    _howto("cross a river", "look for stones; test each one; step slowly; keep your shoes dry"),
    _howto("train a dog", "call its name; show the trick; give a treat; do it again"),
    _howto("keep bees", "build a hive; plant some flowers; move slowly; take little honey"),
    _howto("set a table", "lay the cloth; place the plates; add the spoons; fill the jug"),
)
