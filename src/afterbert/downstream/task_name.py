"""The name of a task. It is taken from a file, so it may be anything that a file may be called."""

from afterbert.base.errors import UserError

_LONGEST_BYTES = 160  # of a file name's 255, since others are made from it: NAME.train-b.jsonl, finetune-NAME-1a2b3c4d


def checked_name(name: str) -> str:
    """Returns the name unchanged. Raises UserError if no file could have this name, since files are named by it."""
    wrong = next((sign for sign in ("/", "\\", "\0", "\n") if sign in name), None)
    if wrong is not None or name.strip(". ") == "":
        said = "is empty" if wrong is None else f"holds {wrong!r}"
        raise UserError(f"the task name {name!r} {said}, so no file can be named by it; say NAME:PATH")
    if len(name.encode("utf-8", "surrogatepass")) > _LONGEST_BYTES:
        raise UserError(f"the task name {name[:40]!r}... is too long to name files by; say NAME:PATH")
    return name


def shortened(names: str) -> str:
    """Returns the beginning of several names, short enough in any script to be a part of a folder's name.

    >>> shortened("sst2-stsb"), len(shortened("語" * 100).encode())
    ('sst2-stsb', 159)
    """
    return names[:60].encode("utf-8", "surrogatepass")[:_LONGEST_BYTES].decode("utf-8", "ignore")


def head_key(name: str) -> str:
    """Returns the name of a task's head among the heads of a model.

    >>> head_key("reviews")
    'head/reviews'
    """
    return f"head/{name}"


def module_key(name: str) -> str:
    """Returns the name under which torch holds what belongs to the task: without dots, and never that of a method.

    >>> module_key("train"), module_key("reviews.v2"), module_key("100%")
    ('task:train', 'task:reviews%2Ev2', 'task:100%25')
    """
    return "task:" + name.replace("%", "%25").replace(".", "%2E")
