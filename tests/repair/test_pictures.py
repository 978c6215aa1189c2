import numpy as np

from reliance.repair.pictures import Vocabulary, classes_of, clusters, parts_of, words_of


def around(centre, n, noise, seed):
    found = np.eye(6)[centre] + noise * np.random.default_rng(seed).normal(size=(n, 6))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_images_of_two_kinds_are_two_parts_and_those_of_one_are_not():
    two = np.concatenate([around(0, 30, 0.05, 1), around(1, 20, 0.05, 2)])
    assert (parts_of(two, np.zeros(50), least=10) == [1] * 30 + [2] * 20).all()
    one = around(0, 50, 0.3, 3)
    assert not parts_of(one, np.zeros(50), least=10).any()
    assert not parts_of(two[:34], np.zeros(34), least=10).any()  # four images are no part


def test_a_part_is_a_fifth_of_the_images_at_least():
    two = np.concatenate([around(0, 40, 0.05, 1), around(1, 10, 0.05, 2)])
    assert (parts_of(two, np.zeros(50), least=10) == [1] * 40 + [2] * 10).all()
    more = np.concatenate([around(0, 41, 0.05, 1), around(1, 10, 0.05, 2)])
    assert not parts_of(more, np.zeros(51), least=10).any()


def test_parts_that_are_somewhat_apart_count_where_each_is_of_a_class_of_its_own():
    mixed = np.eye(6)[0] + 0.6 * np.repeat(np.eye(6)[[1, 2]], 30, axis=0)
    unit = mixed + 0.35 * np.random.default_rng(0).normal(size=(60, 6))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    by_class = np.repeat([3, 7], 30)
    assert parts_of(unit, by_class, least=10).any()
    assert not parts_of(unit, np.tile([3, 7], 30), least=10).any()


def test_clusters_are_the_same_every_time_and_the_largest_comes_first():
    unit = np.concatenate([around(2, 8, 0.05, 4), around(0, 20, 0.05, 5), around(1, 12, 0.05, 6)])
    found = clusters(unit, 3)
    assert (found == [2] * 8 + [0] * 20 + [1] * 12).all()
    assert (clusters(unit[:1], 4) == 0).all()


def test_words_are_what_images_show_more_than_usual_ones_do():
    usual = np.ones(6) / np.sqrt(6)
    vocabulary = Vocabulary(["crow", "shovel", "usual"], np.array([np.eye(6)[0], np.eye(6)[1], usual]), usual)
    assert words_of(around(0, 9, 0.05, 7), vocabulary) == ["crow"]
    assert words_of(np.zeros((0, 6)), vocabulary) == []
    assert classes_of(np.array([1, 1, 2, 1]), {1: "crow", 2: "cow"}) == ["crow 75%", "cow 25%"]
