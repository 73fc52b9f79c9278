"""Templates to HTML: one place where escaping is decided, for reports of every kind."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from afterbert import __version__
from afterbert.base.destination import PAGE_MARK, check_file
from afterbert.base.errors import UserError
from afterbert.base.runs import write_atomically
from afterbert.base.tree import in_yaml
from afterbert.base.visible import visible
from afterbert.report import figures

#: No script, no address outside the file, nothing to send anything to.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def render(template: str, **values: Any) -> str:
    """Returns a template of `templates/` as HTML, with every value escaped and its hidden characters made visible."""
    return _environment().get_template(template).render(policy=POLICY, version=__version__, **values)


def write_page(out: Path, html: str, *, markdown: str = "", overwrite: bool = False) -> Path:
    """Writes a page, and where there is one its Markdown twin beside it. Raises UserError if that cannot be, and where
    something stands there that is not ours, unless `overwrite`."""
    check_file(out, mark=PAGE_MARK, overwrite=overwrite)
    if markdown:
        if out.suffix == ".md":
            raise UserError(f"{out}: the page's Markdown twin is called so; name an .html file")
        twin_mark = markdown.partition("\n")[0]
        check_file(out.with_suffix(".md"), mark=twin_mark, overwrite=overwrite or out.exists())
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if markdown:
            write_atomically(out.with_suffix(".md"), markdown)
        write_atomically(out, html)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}); name another place") from error
    return out


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("afterbert.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(figures=figures, in_yaml=in_yaml)
    return environment


def _shown(value: Any) -> Any:
    """What a template prints: a macro's own output as it is, all else as text without hidden characters."""
    return value if isinstance(value, Markup) else visible(str(value))
