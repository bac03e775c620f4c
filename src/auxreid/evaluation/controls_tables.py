"""Rows beside their controls as tables: one for programs (CSV), one for people."""

from collections.abc import Mapping

import pandas as pd

from auxreid.evaluation.comparison_tables import (
    NO_VALUE,
    DisplayTable,
    interval_text,
    markdown_cells,
    p_text,
    power_text,
    signed,
)
from auxreid.evaluation.controls import (
    ABOVE,
    BELOW,
    NO_CLAIM,
    NOT_AMONG,
    NOT_APART,
    UNCORRECTED,
    Against,
    Controls,
    Pair,
)

COLUMNS = (
    *("row", "control", "seeds", "mAP", "control_mAP", "difference", "difference_low", "difference_high"),
    *("p", "p_holm", "detectable", "verdict", "remark"),
)


def controls_csv(controls: Controls) -> str:
    """Per cent and points of per cent (p-values as they are), empty where unknown; the heading alone without pairs."""
    records = [_record(controls, pair, one) for pair, one in controls.pairs.items()]
    table = pd.DataFrame.from_records(records, columns=list(COLUMNS))
    numbers = table.select_dtypes("float").columns
    digits = {column: 6 if column in ("p", "p_holm") else 2 for column in numbers}
    return table.round(digits).replace({-0.0: 0.0}).to_csv(index=False, lineterminator="\n")


def _record(controls: Controls, pair: Pair, one: Against | None) -> dict[str, object]:
    row, control = pair
    record: dict[str, object] = {"row": row, "control": control, "seeds": len(one.seeds) if one else 0}
    record |= {"verdict": controls.verdicts[row], "remark": controls.missing.get(pair, "")}
    if one is None:
        return record
    record |= {"mAP": one.mAP[0], "control_mAP": one.mAP[1], "difference": one.value}
    record |= {"difference_low": one.interval.low, "difference_high": one.interval.high}
    if one.test is not None:
        record |= {"p": one.test.p, "p_holm": one.test.p_holm, "detectable": one.test.detectable}
    return record


def controls_table(controls: Controls) -> DisplayTable | None:
    """The table for people; None where no row that is there has controls."""
    lines = [_line(controls, pair, one) for pair, one in controls.pairs.items() if pair[0] not in controls.absent]
    if not lines:
        return None
    title = f"{controls.dataset}, rows beside their controls"
    return DisplayTable(title, pd.DataFrame(lines), texts=3, note=" ".join(control_notes(controls)))


def _line(controls: Controls, pair: Pair, one: Against | None) -> dict[str, str]:
    named = {"row": pair[0], "control": pair[1], "verdict": controls.verdicts[pair[0]]}
    headings = ("seeds", "mAP", "control's mAP", "difference", f"{100 * controls.settings.level:g} % interval", "p")
    if one is None:
        return named | dict.fromkeys([*headings, "p (Holm)"], NO_VALUE)
    tested = [NO_VALUE, NO_VALUE] if one.test is None else [p_text(one.test.p), p_text(one.test.p_holm)]
    cells = [str(len(one.seeds)), *(f"{value:.1f}" for value in one.mAP), signed(one.value)]
    cells += [interval_text(one.interval, "+z.1f"), *tested]
    return named | dict(zip([*headings, "p (Holm)"], cells, strict=True))


def control_notes(controls: Controls) -> list[str]:
    """What the reader has to know about the figures, a sentence or two each; then why pairs are not compared."""
    settings, tests = controls.settings, controls.tests
    notes = ["Points of per cent of mAP, on the same queries and the seeds that both have; the verdict is the row's."]
    level = f"{100 * (1 - settings.level):.3g} %"
    if tests:
        notes.append(
            "p: two-sided, over seeds and queries; Holm's correction is over every pair that is tested, "
            f'{len(tests)} in all. "{ABOVE}": each interval lies above 0, and each corrected p is at most {level}; '
            f'"{UNCORRECTED}": the first alone; "{BELOW}": both on the other side of one; "{NOT_APART}": from one at '
            "least."
        )
        notes.append(power_text([one.detectable for one in tests], settings.power, "pair").strip())
    if any(one is not None and one.test is None for one in controls.pairs.values()):
        notes.append("Of a single seed nothing is claimed: another training may differ as much as two rows do.")
    if any(said == NO_CLAIM for row, said in controls.verdicts.items() if row not in controls.absent):
        notes.append(f'"{NO_CLAIM}": the row was not compared, over several seeds, with each of its controls.')
    notes += _absent_notes(controls.absent)
    missing = [(pair, reason) for pair, reason in controls.missing.items() if pair[0] not in controls.absent]
    return notes + [f"{row}, {control}: {reason}." for (row, control), reason in missing]


def _absent_notes(absent: Mapping[str, str]) -> list[str]:
    """Rows that the study does not have together, any other with its own reason."""
    unasked = [row for row, reason in absent.items() if reason == f"{row} {NOT_AMONG}"]
    others = [f"Not in the table: {reason}." for row, reason in absent.items() if row not in unasked]
    if len(unasked) < 2:
        return [f"Not in the table: {absent[row]}." for row in unasked] + others
    return [f"Not in the table: {', '.join(unasked)} are {NOT_AMONG.removeprefix('is ')}.", *others]


def controls_markdown(controls: Controls) -> str:
    """The table as GitHub's Markdown with its notes as a list; empty where there is none."""
    table = controls_table(controls)
    if table is None:
        return ""
    notes = "\n".join(f"- {note}" for note in control_notes(controls))
    return f"# {table.title}\n\n{markdown_cells(table)}\n\n{notes}\n"
