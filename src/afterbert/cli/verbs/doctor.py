"""`afterbert doctor`: what this machine can do, and whether everything is in place."""

from __future__ import annotations


def doctor() -> int:
    """Check this machine and this installation, and say what to mend.

    Example: `afterbert doctor`
    """
    from rich.table import Table

    from afterbert.cli.checkup import findings
    from afterbert.cli.terminal import console, safe

    table = Table(box=None, show_header=False)
    worst = 0
    for finding in findings():
        mark = "[green]ok[/green]" if finding.is_good else "[yellow]look[/yellow]"
        table.add_row(mark, safe(finding.what), safe(finding.found))
        worst = max(worst, 0 if finding.is_good or not finding.is_needed else 1)
    console.print(table)
    return worst
