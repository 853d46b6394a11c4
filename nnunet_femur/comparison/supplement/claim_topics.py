"""The items of the Checklist for Artificial Intelligence in Medical Imaging, CLAIM 2024 Update.

Tejani AS, Klontzas ME, Gatti AA, Mongan JT, Moy L, Park SH, Kahn CE Jr; for the CLAIM 2024 Update Panel. Checklist for
Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update. Radiology: Artificial Intelligence 2024;6(4):e240300.
The items are named in our own words; the checklist explains each.
"""

from __future__ import annotations

from dataclasses import dataclass

CITATION = (
    "CLAIM: Tejani AS, Klontzas ME, Gatti AA, et al. Checklist for Artificial Intelligence in Medical Imaging (CLAIM): "
    "2024 Update. Radiology: Artificial Intelligence 2024;6(4):e240300."
)
"""Citation of the checklist."""


@dataclass(frozen=True)
class Topic:
    """An item of the checklist.

    Attributes:
        number: Its number.
        section: Part of the publication.
        name: Its subject.
        ask: Facts that the authors have to add, because no file of the study contains them; empty if the files can
            answer the item.
    """

    number: int
    section: str
    name: str
    ask: str = ""


_TITLE, _INTRODUCTION, _RESULTS, _DISCUSSION, _OTHER = (
    "Title and abstract",
    "Introduction",
    "Results",
    "Discussion",
    "Other information",
)
_DESIGN, _DATA, _REFERENCE, _PARTITIONS, _TESTING, _MODEL, _TRAINING, _EVALUATION = (
    "Study design",
    "Data",
    "Reference standard",
    "Data partitions",
    "Testing data",
    "Model",
    "Training",
    "Evaluation",
)

TOPICS = (
    Topic(1, _TITLE, "AI methodology named in the title or abstract", "title"),
    Topic(2, _TITLE, "summary of design, methods, results and conclusions", "abstract"),
    Topic(3, _INTRODUCTION, "background, intended use and role of the method", "background and intended use"),
    Topic(4, _INTRODUCTION, "aims, objectives and hypotheses", "aims and hypotheses"),
    Topic(5, _DESIGN, "prospective or retrospective", "prospective or retrospective"),
    Topic(6, _DESIGN, "goal of the study", "goal, if it is another one"),
    Topic(7, _DATA, "sources of the data", "hospitals, dates, and licences of public data"),
    Topic(8, _DATA, "criteria of inclusion and exclusion", "criteria by which patients and CTs were chosen"),
    Topic(9, _DATA, "preprocessing"),
    Topic(10, _DATA, "selection of parts of the data"),
    Topic(11, _DATA, "de-identification", "method of de-identification"),
    Topic(12, _DATA, "missing data"),
    Topic(13, _DATA, "acquisition of the images", "scanners, protocols, kernels and doses"),
    Topic(14, _REFERENCE, "definition of the reference standard", "how the masks were made, and with which program"),
    Topic(15, _REFERENCE, "reason for this reference standard", "reason"),
    Topic(16, _REFERENCE, "source of the annotations", "number, training and experience of the annotators"),
    Topic(17, _REFERENCE, "annotation of the test set", "differences from the annotation of the training set"),
    Topic(18, _REFERENCE, "variability between and within annotators", "variability, or that it was not measured"),
    Topic(19, _PARTITIONS, "assignment of the data to partitions"),
    Topic(20, _PARTITIONS, "level at which partitions are disjoint"),
    Topic(21, _TESTING, "intended sample size", "how the number of test cases was determined"),
    Topic(22, _MODEL, "description of the model"),
    Topic(23, _MODEL, "software and its versions"),
    Topic(24, _MODEL, "initial parameters"),
    Topic(25, _TRAINING, "details of the training"),
    Topic(26, _TRAINING, "choice of the final model"),
    Topic(27, _TRAINING, "ensembles"),
    Topic(28, _EVALUATION, "metrics"),
    Topic(29, _EVALUATION, "statistical significance and uncertainty"),
    Topic(30, _EVALUATION, "robustness or sensitivity", "further analyses, or that there was none"),
    Topic(31, _EVALUATION, "explainability or interpretability", "methods, or that none was used"),
    Topic(32, _EVALUATION, "evaluation on internal data"),
    Topic(33, _EVALUATION, "testing on external data", "external test set, or that there was none"),
    Topic(34, _EVALUATION, "registration as a clinical trial", "registry and number, or that it is no trial"),
    Topic(35, _RESULTS, "numbers of patients and examinations, included and excluded", "exclusions before conversion"),
    Topic(36, _RESULTS, "characteristics of the cases in each partition", "age, sex, diagnoses and implants"),
    Topic(37, _RESULTS, "performance with its uncertainty"),
    Topic(38, _RESULTS, "diagnostic performance and its precision", "clinical meaning of these errors"),
    Topic(39, _RESULTS, "analysis of failures", "causes of these failures, after looking at the cases"),
    Topic(40, _DISCUSSION, "limitations", "further limitations"),
    Topic(41, _DISCUSSION, "implications for practice", "implications"),
    Topic(42, _OTHER, "protocol or further technical details", "protocol"),
    Topic(43, _OTHER, "availability of software, model and data", "availability of the models and of the data"),
    Topic(44, _OTHER, "funding, and role of the funders", "funding"),
)
"""All items, in their order."""
