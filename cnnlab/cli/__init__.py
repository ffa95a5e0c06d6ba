"""The command line: `python -m cnnlab COMMAND`, or `cnnlab COMMAND` where the package is installed.

`cli.training`, `cli.sweep`, `cli.data`, `cli.lesson` and `cli.services` define the commands: one function for each, a
few lines around the module that does the work. Heavy modules are imported inside the commands that need them. Exit
status: 0 done, 1 refused by the machine (a full disk, a queue that cannot be read), 2 bad input, 3 a training was
stopped, 130 interrupted.
"""

import os

# With a training beside it, a matrix product of NumPy's on two threads waits for a core far longer than it computes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click

from cnnlab import settings
from cnnlab.cli import data, lesson, services, sweep, training
from cnnlab.cli.output import TIMESTAMP_FORMAT, configure_logging, print_error
from cnnlab.experiment import ExperimentError
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.settings import SettingsError
from cnnlab.storage import process_lock


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status; errors are one sentence on the standard error stream."""
    try:
        process_lock.take_expected_lock()
        status = commands.main(arguments, prog_name="cnnlab", standalone_mode=False)
    except (ExperimentError, SettingsError, LookupError) as error:
        return print_error(error.args[0], 2)
    except QueueError as error:
        return print_error(str(error), 1)
    except OSError as error:
        return print_error(f"{error.strerror or error}: {error.filename or settings.home()}", 1)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    return int(status or 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.pass_context
def commands(context: click.Context) -> int:
    """CNN Lab on the command line. Without a command: start the app."""
    configure_logging(TIMESTAMP_FORMAT)
    return 0 if context.invoked_subcommand else int(context.invoke(services.start))


for command in (*training.COMMANDS, *sweep.COMMANDS, *data.COMMANDS, lesson.lesson, *services.COMMANDS):
    commands.add_command(command)
