"""Invented names: easy to say, all different, none the beginning of another.

Built from a few syllables, so that a small BPE vocabulary holds them in one to three pieces.
"""

from __future__ import annotations

from llamalite.world.seeding import rng_for

_FIRST = "Ba Be Bo Da De Do Fe Fi Ga Go Ka Ke Ki La Le Lu Mi Mo Na Ne Pa Pi Ro Ru Sa Se Ta Ti Ve Vo"
_LAST = "bix dak dov fim fos gel gun hul jot kez lim lup mur nok pem rik sef tas vik wen yor zan"
_TOWN_FIRST = "Lade Tolo Bryne Corri Dune Ferra Garlo Hesper Isca Jorra Kelda Morra Nether Osk"
_TOWN_FIRST += " Pella Quill Rusk Selva Thorn Umber Wester Yarro"
_TOWN_LAST = "ville ford holm wick bury stead"

# Syllables that happen to make a name or a word of the real world.
_REAL = {
    *("Barik", "Begun", "Berik", "Bogel", "Davik", "Femur", "Kegel", "Lemur", "Lenok", "Patas"),
    *("Rotas", "Rowen", "Rubix", "Rurik", "Safos", "Serik", "Tarik", "Tatas", "Titas", "Vogel"),
}

FIRST_PERSON, FIRST_TOWN = "Vegun", "Ladeville"
"""They live in every world, so that examples in prose hold whatever the seed."""


def _prefix_free(candidates: list[str], taken: list[str]) -> list[str]:
    """Those candidates, in order, of which none begins another or a taken one (case ignored)."""
    kept: list[str] = []
    for name in candidates:
        low = name.lower()
        others = [other.lower() for other in (*taken, *kept)]
        if not any(other.startswith(low) or low.startswith(other) for other in others):
            kept.append(name)
    return kept


def town_names(count: int, seed: int) -> tuple[str, ...]:
    """`count` different towns, such as Ladeville; at most as many as there are first parts (22)."""
    rng = rng_for("towns", seed)
    firsts = _TOWN_FIRST.split()
    if count > len(firsts):
        raise ValueError(f"{count} towns asked for, {len(firsts)} names known; ask for fewer")
    lasts = _TOWN_LAST.split() * (1 + len(firsts) // len(_TOWN_LAST.split()))
    rng.shuffle(firsts)
    rng.shuffle(lasts)
    towns = [first + last for first, last in zip(firsts, lasts, strict=False)]
    towns = [town for town in towns if town[:4] != FIRST_TOWN[:4]]
    return (FIRST_TOWN, *towns[: count - 1])


def person_names(count: int, seed: int, taken: tuple[str, ...] = ()) -> tuple[str, ...]:
    """`count` different persons, such as Vegun; none begins, or is begun by, a name in `taken`."""
    rng = rng_for("people", seed)
    every = [first + last for first in _FIRST.split() for last in _LAST.split()]
    every = [name for name in every if name not in _REAL and name != FIRST_PERSON]
    rng.shuffle(every)
    every = _prefix_free([FIRST_PERSON, *every[: count + 40]], list(taken))
    if len(every) < count:
        raise ValueError(f"{count} persons asked for, {len(every)} names known; ask for fewer")
    return tuple(every[:count])
