"""What a foreign client's script found, printed as one JSON object. Runs in the client's own environment."""

import json
import sys


class Report:
    """Findings by name; a step that raises is recorded with the class of its error."""

    def __init__(self):
        self.found = {}

    def __setitem__(self, name, value):
        self.found[name] = value

    def error(self, name, action):
        """Run `action`, which must fail; remember how."""
        try:
            self.found[name] = ["nothing", str(action())]
        except Exception as error:  # whatever class the client has is the finding
            self.found[name] = [type(error).__name__, str(error)]

    async def error_of(self, name, awaitable):
        try:
            self.found[name] = ["nothing", str(await awaitable)]
        except Exception as error:
            self.found[name] = [type(error).__name__, str(error)]

    def print(self):
        sys.stdout.write("\n" + json.dumps(self.found, default=str) + "\n")
        sys.stdout.flush()


def port():
    """The sandbox's, from the command line."""
    return int(sys.argv[1])
