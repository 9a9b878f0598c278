"""What a worker process of ``workers`` does before all else; Dask imports it there."""

import signal


def dask_setup(_worker: object) -> None:
    """Leave Ctrl-C, which a terminal sends to every process, to the one that started this.

    It tells its workers to end; they would each die with a traceback.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
