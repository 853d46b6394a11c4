"""Splits: sizes, strata, whole patients, and reproducibility."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_femur.conversion.splits import Member, parse_parts, require_enough, set_name, split_cases
from tests.refusing import refused


def _singles(lefts: int, rights: int) -> list[Member]:
    sides = ["left"] * lefts + ["right"] * rights
    return [Member(f"{side[0].upper()}{n}", str(n), side) for n, side in enumerate(sides)]


def _femurs(count: int, seed: int = 0) -> list[Member]:
    """Left and right in turn, one femur each, their volumes in no order."""
    volumes_ml = random.Random(seed)  # noqa: S311
    return [
        Member(f"{'LR'[n % 2]}{n}", str(n), ("left", "right")[n % 2], volumes_ml.gauss(500, 80)) for n in range(count)
    ]


def _given(*sets: str | None) -> list[Member]:
    return [Member(f"L{n}", str(n), "left", 500.0 + n, chosen) for n, chosen in enumerate(sets)]


def _sides(cases) -> Counter:
    return Counter(case[0] for case in cases)


class TestSizes:
    def test_the_study(self):
        parts = split_cases(_singles(20, 20))
        assert {name: _sides(cases) for name, cases in parts.sets.items()} == {
            "train": {"L": 12, "R": 12},
            "validation": {"L": 4, "R": 4},
            "test": {"L": 4, "R": 4},
        }
        assert [len(fold) for fold in parts.folds] == [7, 7, 6, 6, 6]
        for side in "LR":
            assert sorted(_sides(fold)[side] for fold in parts.folds) == [3, 3, 3, 3, 4]

    @pytest.mark.parametrize(
        ("cases", "sizes"),
        [(6, (4, 1, 1)), (7, (5, 1, 1)), (8, (4, 2, 2)), (12, (8, 2, 2)), (13, (7, 3, 3)), (100, (60, 20, 20))],
    )
    def test_a_fifth_each_rounded(self, cases, sizes):
        parts = split_cases(_singles(cases, 0))
        assert tuple(len(part) for part in parts.sets.values()) == sizes

    def test_five_patients_are_too_few(self):
        with refused("too-few-patients", 6, 5):
            split_cases(_singles(5, 0))

    def test_pairs_of_one_patient_count_once(self):
        members = [Member(f"{side}{n}", str(n), side) for n in range(5) for side in "LR"]
        with refused("too-few-patients", 6, 5):
            split_cases(members)

    def test_patients_with_both_legs(self):
        members = [Member(f"{side}{n}", str(n), side) for n in range(20) for side in "LR"]
        parts = split_cases(members)
        assert [len(part) for part in parts.sets.values()] == [24, 8, 8]
        assert sorted(len(fold) for fold in parts.folds) == [6, 6, 6, 6, 8]

    def test_one_patient_with_most_of_the_cases(self):
        members = [Member(f"P{n}", "1" if n < 20 else str(n), "unknown") for n in range(25)]
        parts = split_cases(members)
        assert parts.set_of["P0"] == "train"
        assert all(parts.sets.values())
        assert all(parts.folds)


class TestVolumes:
    @pytest.mark.parametrize("seed", range(5))
    def test_every_set_and_fold_has_small_middle_and_large_femurs(self, seed):
        members = _femurs(40, seed)
        parts = split_cases(members, seed=seed)
        assert [len(part) for part in parts.sets.values()] == [24, 8, 8]
        for side in ("left", "right"):
            ranked = sorted((m for m in members if m.side == side), key=lambda m: m.volume_ml)
            for third in range(3):
                alike = {m.case for i, m in enumerate(ranked) if i * 3 // len(ranked) == third}
                for part, share in ((parts.train, 0.6), (parts.validation, 0.2), (parts.test, 0.2)):
                    assert abs(len(alike & set(part)) - share * len(alike)) < 1
                developing = alike & {*parts.train, *parts.validation}
                for fold in parts.folds:
                    assert abs(len(alike & set(fold)) - len(developing) * len(fold) / 32) < 1
            assert all(_sides(part)[side[0].upper()] == len(part) / 2 for part in parts.sets.values())

    def test_a_test_set_by_chance_alone_would_be_further_off(self):
        """Purpose of the strata: the mean volume of the test set is near that of the cohort."""

        def off(members, parts):
            volume = {member.case: member.volume_ml for member in members}
            mean = sum(volume.values()) / len(volume)
            return abs(sum(volume[case] for case in parts.test) / len(parts.test) - mean)

        stratified, by_side = [], []
        for seed in range(40):
            members = _femurs(40, seed)
            blind = [Member(m.case, m.patient, m.side) for m in members]
            stratified.append(off(members, split_cases(members)))
            by_side.append(off(members, split_cases(blind)))
        assert sum(stratified) < 0.6 * sum(by_side)

    def test_patients_with_both_legs_go_by_their_mean(self):
        members = [
            Member(f"{side[0]}{n}", str(n), side, 400 + 10.0 * n) for n in range(20) for side in ("left", "right")
        ]
        parts = split_cases(members)
        assert [len(part) for part in parts.sets.values()] == [24, 8, 8]
        thirds = Counter(int(case[1:]) * 3 // 20 for case in parts.test)
        assert set(thirds) == {0, 1, 2}


class TestParts:
    @pytest.mark.parametrize(
        ("text", "count", "sizes"),
        [
            ("24/8/8", 40, [24, 8, 8]),
            ("60/20/20", 40, [24, 8, 8]),
            ("3/1/1", 41, [25, 8, 8]),
            ("28/4/8", 40, [28, 4, 8]),
            ("70/15/15", 20, [14, 3, 3]),
            ("1/1/8", 40, [4, 4, 32]),
        ],
    )
    def test_in_proportion(self, text, count, sizes):
        parts = split_cases(_femurs(count), parts=parse_parts(text))
        assert [len(part) for part in parts.sets.values()] == sizes

    @pytest.mark.parametrize(
        "text", ["", "24", "24/8", "24/8/8/8", "a/b/c", "24/8/0", "-1/1/1", "1.5/1/1", "٣/1/1", "1/" * 3]
    )
    def test_text_that_is_not_a_split(self, text):
        with refused("invalid-option", repr(text)):
            parse_parts(text)

    @pytest.mark.parametrize(
        ("parts", "smallest"), [((24, 8, 8), 6), ((90, 5, 5), 10), ((1, 1, 8), 23), ((98, 1, 1), 50)]
    )
    def test_the_smallest_number_of_patients_is_reported_and_sufficient(self, parts, smallest):
        with refused("too-few-patients", smallest, smallest - 1):
            require_enough(_singles(smallest - 1, 0), parts=parts)
        require_enough(_singles(smallest, 0), parts=parts)
        made = split_cases(_singles(smallest, 0), parts=parts)
        assert all(made.sets.values())
        assert all(made.folds)


class TestGiven:
    def test_all_sets_are_taken_as_they_are(self):
        parts = split_cases(_given("train", "val", "Test", "training", "train", "TRAIN", "train"))
        assert (parts.validation, parts.test) == (("L1",), ("L2",))
        assert parts.train == ("L0", "L3", "L4", "L5", "L6")
        assert sorted(case for fold in parts.folds for case in fold) == ["L0", "L1", "L3", "L4", "L5", "L6"]

    def test_a_given_test_set_is_complete(self):
        parts = split_cases(_given("test", *[None] * 20))
        assert parts.test == ("L0",)
        assert [len(parts.validation), len(parts.train)] == [5, 15]

    def test_validation_is_taken_from_training_if_no_case_is_named(self):
        parts = split_cases(_given("test", "test", *["train"] * 8))
        assert parts.test == ("L0", "L1")
        assert [len(parts.validation), len(parts.train)] == [2, 6]

    def test_an_open_test_set_consists_of_cases_without_a_set(self):
        parts = split_cases(_given(*["train"] * 6, *[None] * 4))
        assert len(parts.test) == 2
        assert set(parts.test) <= {"L6", "L7", "L8", "L9"}

    def test_no_test_set_where_every_case_is_named_and_none_for_it(self):
        parts = split_cases(_given(*["train"] * 6, "val"))
        assert parts.test == ()
        assert parts.validation == ("L6",)

    def test_the_other_leg_follows(self):
        members = [*_given("test", *[None] * 6), Member("R0", "0", "right", 500.0)]
        assert split_cases(members).test == ("L0", "R0")

    def test_a_patient_in_two_sets_is_refused_and_not_named(self):
        members = [Member("L1", "Mrs Smith", "left", 1.0, "train"), Member("R1", "Mrs Smith", "right", 1.0, "test")]
        with refused("invalid-file", "L1", "R1") as caught:
            require_enough([*members, *_given(*["train"] * 6)])
        assert "Smith" not in str(caught.value)

    def test_too_few_are_left(self):
        with refused("too-few-patients", 5, 4):
            require_enough(_given("test", "test", *[None] * 4))

    def test_too_few_in_all(self):
        with refused("too-few-patients", 5, 4):
            require_enough(_given(*["train"] * 4))

    def test_no_case_is_left_for_training(self):
        with refused("too-few-patients"):
            require_enough(_given("test", *["val"] * 6))

    def test_an_unknown_set(self):
        with refused("invalid-file", "maybe"):
            set_name("maybe")


class TestNnunet:
    def test_fold_five_is_the_fixed_split(self):
        parts = split_cases(_singles(6, 6))
        folds = parts.as_nnunet()
        assert len(folds) == 6
        assert folds[5] == {"train": list(parts.train), "val": list(parts.validation)}

    def test_folds_partition_what_is_not_test(self):
        parts = split_cases(_singles(6, 6))
        developing = sorted(parts.train + parts.validation)
        for fold in parts.as_nnunet():
            assert sorted(fold["train"] + fold["val"]) == developing
        assert sorted(case for fold in parts.folds for case in fold) == developing


class TestDeterminism:
    def test_known_split(self):
        # Another result here means that everybody's splits change with the next version: do not do it.
        assert split_cases(_singles(6, 6)).sets == {
            "train": ("L0", "L1", "L2", "L3", "R11", "R6", "R7", "R8"),
            "validation": ("L4", "R10"),
            "test": ("L5", "R9"),
        }

    def test_another_seed_is_another_split(self):
        assert split_cases(_singles(20, 20), seed=0) != split_cases(_singles(20, 20), seed=1)

    def test_a_new_patient_moves_few(self):
        before = split_cases(_singles(20, 20))
        for number in range(100, 120):
            after = split_cases([*_singles(20, 20), Member(f"L{number}", str(number), "left")])
            assert sum(before.set_of[case] != after.set_of[case] for case in before.set_of) <= 2

    def test_a_new_patient_moves_few_of_known_volumes_too(self):
        """The figures of the module's docstring."""
        sets, folds = [], []
        for seed in range(100):
            members = _femurs(40, seed)
            chance = random.Random(seed + 999)  # noqa: S311
            new = Member("L900", "900", chance.choice(["left", "right"]), chance.gauss(500, 80))
            before, after = split_cases(members), split_cases([*members, new])
            sets.append(sum(before.set_of[case] != after.set_of[case] for case in before.set_of))
            folds.append(sum(before.fold_of.get(case) != after.fold_of.get(case) for case in before.set_of))
        assert sum(sets) / 100 < 2
        assert max(sets) <= 6
        assert sum(folds) / 100 < 6
        assert max(folds) <= 13


PATIENTS = st.lists(
    st.lists(st.sampled_from(["left", "right", "unknown"]), min_size=1, max_size=4), min_size=6, max_size=40
)


def _members(patients: list[list[str]]) -> list[Member]:
    return [Member(f"{n}{i}", str(n), side) for n, sides in enumerate(patients) for i, side in enumerate(sides)]


class TestProperties:
    @settings(deadline=None)
    @given(PATIENTS, st.integers(0, 5), st.randoms())
    def test_whole_patients_and_every_case_once(self, patients, seed, random):
        members = _members(patients)
        parts = split_cases(members, seed=seed)
        patient_of = {member.case: member.patient for member in members}
        assert sorted(case for part in parts.sets.values() for case in part) == sorted(patient_of)
        assert sorted(case for fold in parts.folds for case in fold) == sorted(parts.train + parts.validation)
        assert all(parts.sets.values())
        assert all(parts.folds)
        for groups in (list(parts.sets.values()), list(parts.folds)):
            owners = [{patient_of[case] for case in group} for group in groups]
            assert sum(map(len, owners)) == len(set().union(*owners))
        random.shuffle(members)
        assert split_cases(members, seed=seed) == parts

    @settings(deadline=None)
    @given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
    def test_single_femurs_are_spread_evenly(self, lefts, rights, seed):
        if lefts + rights < 6:
            return
        parts = split_cases(_singles(lefts, rights), seed=seed)
        total, fifth = lefts + rights, (lefts + rights + 2) // 5
        assert [len(part) for part in parts.sets.values()] == [total - 2 * fifth, fifth, fifth]
        sizes = [len(fold) for fold in parts.folds]
        assert max(sizes) - min(sizes) <= 1
        for side, count in (("L", lefts), ("R", rights)):
            for part in parts.sets.values():
                assert abs(_sides(part)[side] - count * len(part) / total) < 1
            per_fold = [_sides(fold)[side] for fold in parts.folds]
            assert max(per_fold) - min(per_fold) <= 2
            for fold in parts.folds:
                share = sum(per_fold) * len(fold) / sum(sizes)
                assert abs(_sides(fold)[side] - share) < 1
