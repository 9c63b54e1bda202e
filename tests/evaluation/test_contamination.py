"""Equal and nearly equal prompts are found in two lists."""

import numpy as np
import pytest

from routellm_core.errors import ConfigurationError
from routellm_core.evaluation import find_matches, overlap, uncontaminated

QUESTION = (
    "A train leaves the station at noon and travels west at sixty miles an hour. Another train "
    "leaves the same station an hour later and travels east at forty miles an hour. How far apart "
    "are the two trains at four in the afternoon?"
)


def words(seed: int, n: int = 60) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(chr(97 + c) for c in rng.integers(0, 26, 6)) for _ in range(n)]


def test_texts_that_differ_in_case_and_spaces_are_equal() -> None:
    spaced = QUESTION.upper().replace(" ", " \n ").replace("?", " ?")
    (match,) = find_matches(["nothing alike at all", QUESTION], [spaced])
    assert (match.train_index, match.test_index, match.similarity) == (1, 0, 1.0)


def test_another_sign_is_another_question_and_a_near_one() -> None:
    first = "Find the degree of the field extension Q(sqrt(2) + sqrt(3)) over Q."
    (match,) = find_matches([first.replace("+", "*")], [first])
    assert 0.99 < match.similarity < 1.0


def test_a_changed_word_is_near_and_a_changed_topic_is_not() -> None:
    near = QUESTION.replace("sixty", "seventy")
    (match,) = find_matches([near, " ".join(words(1))], [QUESTION])
    assert match.train_index == 0
    assert 0.8 < match.similarity < 1.0


def test_near_pairs_are_found_by_hashes_as_by_comparing_all() -> None:
    rng = np.random.default_rng(0)
    bases = [words(seed) for seed in range(150)]
    changed = []
    for base in bases:
        copy = list(base)
        for place in rng.choice(60, size=int(rng.integers(1, 12)), replace=False):
            copy[place] = "".join(chr(97 + c) for c in rng.integers(0, 26, 6))
        changed.append(" ".join(copy))
    tests = [" ".join(base) for base in bases]

    def shingles(text: str) -> set[str]:
        return {text[i : i + 5] for i in range(len(text) - 4)}

    expected = set()
    for place, first in enumerate(changed):
        for index, second in enumerate(tests):
            a, b = shingles(first), shingles(second)
            if len(a & b) / len(a | b) >= 0.7:
                expected.add((index, place))
    found = {(m.test_index, m.train_index) for m in find_matches(changed, tests, threshold=0.7)}
    assert found == expected
    assert 30 < len(expected) < 150


def test_blank_and_short_texts_match_only_their_equals() -> None:
    assert find_matches(["", "  ", "?!"], ["", "...", "hi"]) == []
    assert len(find_matches(["Hi"], ["hi "])) == 1
    assert find_matches(["ab"], ["cd"]) == []


def test_texts_in_any_script_are_compared() -> None:
    chinese = "请用简单的话解释量子纠缠是什么，并举一个生活中的例子来说明它的特点。"
    (match,) = find_matches([chinese], [chinese + "谢谢"], threshold=0.8)
    assert match.similarity < 1.0


def test_long_texts_that_begin_alike_are_near_and_not_equal() -> None:
    beginning = " ".join(words(3, n=4000))
    found = overlap([f"{beginning} one"], [f"{beginning} two"])
    assert (found.n_exact, found.n_near) == (0, 1)


def test_an_overlap_counts_benchmark_prompts_and_not_pairs() -> None:
    near = QUESTION.replace("sixty", "seventy")
    found = overlap([QUESTION, QUESTION, near], [QUESTION, near.upper(), "Name a river."])
    assert (found.n_exact, found.n_near, found.n_train, found.n_test) == (2, 0, 3, 3)
    assert len(found.shown) == 2
    assert len(found.shown[0]) <= 100


def test_a_threshold_that_hashes_cannot_serve_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"\[0\.5, 1\]"):
        find_matches(["a"], ["a"], threshold=0.3)


def test_every_copy_of_a_contaminated_prompt_is_left_out_of_training() -> None:
    near = QUESTION.replace("sixty", "seventy")
    train = [near, "Name a river.", near.upper(), QUESTION, " ".join(words(5))]
    assert uncontaminated(train, [QUESTION]).tolist() == [False, True, False, False, True]
