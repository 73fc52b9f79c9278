"""Templates to HTML: one place where escaping is decided, for reports of every kind."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from afterbert import __version__
from afterbert.base.visible import visible
from afterbert.report import figures

#: No script, no address outside the file, nothing to send anything to.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def render(template: str, **values: Any) -> str:
    """A template of `templates/` as HTML. Every value is escaped, its hidden characters made visible."""
    return _environment().get_template(template).render(policy=POLICY, version=__version__, **values)


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
    environment.globals["figures"] = figures
    return environment


def _shown(value: Any) -> Any:
    """What a template prints: a macro's own output as it is, all else as text without hidden characters."""
    return value if isinstance(value, Markup) else visible(str(value))
