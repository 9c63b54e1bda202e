"""The hand-written multilingual seed prompts, and the lexicon beside them."""

import json
import unicodedata
from collections import Counter
from pathlib import Path
from statistics import mean

import pytest

import routellm_core
from routellm_core.training.bundled.topics import paste_seeds, read_seeds

SEEDS = Path(routellm_core.__file__).parent / "training" / "seeds"
LANGUAGES = ("en", "pt", "es", "fr", "de", "it", "ru", "zh", "ja", "ko", "ar", "hi")
LEVELS = ("easy", "medium", "hard")
SPLITS = ("train", "heldout")
UNSPACED = ("zh", "ja")
"""Languages written without spaces, where characters are counted instead of words."""
AT_LEAST_PER_LEVEL = {"easy": 28, "medium": 10, "hard": 32}
LEXICON_AT_LEAST = {"hard_terms": 140, "hard_verbs": 25, "easy_terms": 70, "easy_markers": 25}

ROWS = [
    json.loads(line) for line in (SEEDS / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
]
PASTES = [
    json.loads(line) for line in (SEEDS / "pastes.jsonl").read_text(encoding="utf-8").splitlines()
]
TYPED_FIRST = ("greeting", "thanks", "oneword", "arithmetic", "smalltalk", "followup", "fact")
LEXICON = json.loads((SEEDS / "lexicon.json").read_text(encoding="utf-8"))


def rows_in(language: str, **wanted: str) -> list[dict[str, str]]:
    return [
        row
        for row in ROWS
        if row["language"] == language and all(row[key] == wanted[key] for key in wanted)
    ]


def is_long_winded(prompt: str, language: str) -> bool:
    return len(prompt) > 80 if language in UNSPACED else len(prompt.split()) > 35


def is_terse(prompt: str, language: str) -> bool:
    return len(prompt) <= 26 if language in UNSPACED else 2 <= len(prompt.split()) <= 9


def folded(text: str) -> str:
    """Drop case, accents, punctuation and spacing, so that only the words are compared."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(
        character
        for character in letters
        if unicodedata.category(character)[0] not in "PZ"
        and unicodedata.category(character) != "Mn"
    )


def test_every_row_has_exactly_the_five_fields_and_known_values() -> None:
    for row in ROWS:
        assert set(row) == {"prompt", "language", "level", "kind", "split"}, row
        assert all(isinstance(value, str) and value for value in row.values()), row
        assert row["language"] in LANGUAGES, row
        assert row["level"] in LEVELS, row
        assert row["split"] in SPLITS, row
        assert row["prompt"] == row["prompt"].strip(), row
        assert unicodedata.is_normalized("NFC", row["prompt"]), row


def test_every_prompt_is_written_once() -> None:
    twice = [prompt for prompt, n in Counter(row["prompt"] for row in ROWS).items() if n > 1]
    assert twice == []


def test_no_held_out_prompt_is_a_train_prompt_in_other_case_or_accents() -> None:
    train = {folded(row["prompt"]) for row in ROWS if row["split"] == "train"}
    heldout = {folded(row["prompt"]) for row in ROWS if row["split"] == "heldout"}
    assert train & heldout == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_enough_prompts_of_every_level(language: str) -> None:
    for level, at_least in AT_LEAST_PER_LEVEL.items():
        assert len(rows_in(language, level=level)) >= at_least, level


@pytest.mark.parametrize("language", LANGUAGES)
def test_about_three_tenths_of_each_language_are_held_out(language: str) -> None:
    assert 0.25 <= len(rows_in(language, split="heldout")) / len(rows_in(language)) <= 0.35


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("level", LEVELS)
def test_each_level_is_found_on_both_sides_of_the_split(language: str, level: str) -> None:
    for split in SPLITS:
        assert rows_in(language, level=level, split=split), split


@pytest.mark.parametrize("language", LANGUAGES)
def test_held_out_hard_prompts_are_of_fields_absent_from_train(language: str) -> None:
    train = {row["kind"] for row in rows_in(language, level="hard", split="train")}
    heldout = {row["kind"] for row in rows_in(language, level="hard", split="heldout")}
    assert train & heldout == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_length_cannot_tell_hard_from_easy(language: str) -> None:
    for split in SPLITS:
        easy, hard = (
            mean(len(row["prompt"]) for row in rows_in(language, level=level, split=split))
            for level in ("easy", "hard")
        )
        assert easy >= hard, split


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_long_winded_easy_requests(language: str) -> None:
    rows = rows_in(language, level="easy")
    assert sum(is_long_winded(row["prompt"], language) for row in rows) >= 8


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_terse_hard_requests(language: str) -> None:
    rows = rows_in(language, level="hard")
    assert sum(is_terse(row["prompt"], language) for row in rows) >= 18


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_question_mark_does_not_give_the_level_away(language: str) -> None:
    easy, hard = (rows_in(language, level=level) for level in ("easy", "hard"))
    marks = ("?", "？", "؟")
    assert sum(not any(mark in row["prompt"] for mark in marks) for row in easy) >= 5
    assert sum(any(mark in row["prompt"] for mark in marks) for row in hard) >= 2


@pytest.mark.parametrize(
    ("prompt", "level"),
    [
        ("Descreva a equação de Navier-Stokes", "hard"),
        ("Calcule o vórtice de Burgers–Rott", "hard"),
        ("Qual é a capital do Brasil?", "easy"),
    ],
)
def test_the_named_portuguese_prompts_are_held_out(prompt: str, level: str) -> None:
    (row,) = (row for row in ROWS if row["prompt"] == prompt)
    assert (row["language"], row["level"], row["split"]) == ("pt", level, "heldout")


@pytest.mark.parametrize("name", ["navier", "stokes", "burgers"])
def test_no_train_prompt_of_any_language_names_the_held_out_equations(name: str) -> None:
    assert not [r for r in ROWS if r["split"] == "train" and name in folded(r["prompt"])]


def test_the_lexicon_covers_every_language() -> None:
    assert tuple(LEXICON) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_lexicon_list_is_long_enough_lower_case_and_without_repeats(language: str) -> None:
    lists = LEXICON[language]
    assert set(lists) == set(LEXICON_AT_LEAST)
    for name, at_least in LEXICON_AT_LEAST.items():
        terms = lists[name]
        assert len(terms) >= at_least, name
        assert sorted(set(terms)) == sorted(terms), name
        assert all(term == term.lower().strip() and term for term in terms), name
        assert all(unicodedata.is_normalized("NFC", term) for term in terms), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_is_both_a_hard_and_an_easy_one(language: str) -> None:
    lists = LEXICON[language]
    hard = {*lists["hard_terms"], *lists["hard_verbs"]}
    assert hard & {*lists["easy_terms"], *lists["easy_markers"]} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_hard_terms_are_found_in_train_more_often_in_hard_prompts(language: str) -> None:
    terms = LEXICON[language]["hard_terms"]
    shares = [
        mean(
            any(term in row["prompt"].lower() for term in terms)
            for row in rows_in(language, level=level, split="train")
        )
        for level in ("easy", "hard")
    ]
    assert shares[1] > shares[0] + 0.3


@pytest.mark.parametrize("kind", TYPED_FIRST)
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_what_people_type_first(language: str, kind: str) -> None:
    rows = [row for row in rows_in(language, level="easy") if row["kind"] == kind]
    for split, at_least in (("train", 3), ("heldout", 1)):
        assert sum(row["split"] == split for row in rows) >= at_least, split


def test_every_paste_has_its_fields_and_one_place_for_a_request() -> None:
    assert len({row["paste"] for row in PASTES}) == len(PASTES)
    for row in PASTES:
        assert set(row) == {"paste", "language", "kind", "split"}, row
        assert row["split"] in SPLITS, row
        assert row["paste"].count("{request}") == 1, row
        assert unicodedata.is_normalized("NFC", row["paste"]), row


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_pastes_on_both_sides_of_the_split(language: str) -> None:
    splits = Counter(row["split"] for row in PASTES if row["language"] == language)
    assert splits["train"] >= 3
    assert splits["heldout"] >= 1


def test_the_same_paste_holds_as_many_easy_as_hard_requests_of_its_split() -> None:
    seeds = read_seeds()
    own = {(seed.prompt, seed.language, seed.level, seed.held_out) for seed in seeds}
    pasted = paste_seeds(seeds)
    for row in PASTES:
        head, tail = row["paste"].split("{request}")
        inside = [s for s in pasted if s.prompt.startswith(head) and s.prompt.endswith(tail)]
        assert Counter(seed.level for seed in inside) == {"easy": 3, "hard": 3}, row
        for seed in inside:
            request = seed.prompt[len(head) : len(seed.prompt) - len(tail)]
            assert seed.pasted
            assert (request, seed.language, seed.level, seed.held_out) in own
            assert seed.held_out == (row["split"] == "heldout")
    assert paste_seeds(seeds) == pasted
