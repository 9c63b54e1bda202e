"""What comments in the documentation say comes out."""


def test_commented_results_are_what_comes_out() -> None:
    from routellm_core.evaluation import overlap, uncontaminated
    from routellm_core.evaluation.metrics import apgr, cpt

    scores, weak, strong = [0.9, 0.6, 0.3, 0.1], [0, 0, 1, 1], [1, 1, 1, 1]
    assert apgr(scores, weak=weak, strong=strong) == 0.75
    assert cpt(scores, weak=weak, strong=strong, target=0.5) == 0.25
    train, benchmark = ["What is 2 + 2?", "Name a lake."], ["what is  2 + 2 ?", "Prove it."]
    assert overlap(train, benchmark).n_exact == 1
    assert uncontaminated(train, benchmark).tolist() == [False, True]
