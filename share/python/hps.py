"""Marks for hps-record(1) in a process that runs several trials; nothing happens without a recorder.
    with hps.trial({"lr": 0.1}, number=3) as report: report["loss"] = train(lr=0.1)
    study.optimize(hps.optuna(objective), n_trials=100)"""
import contextlib, json, os, re, socket


class Report(dict):  # metrics by name; params: what was drawn after the trial began
    id, params, state = None, None, "complete"  # or "failed", "pruned"


def _say(stream, word, said):
    if stream is None:
        return None
    stream.write(word + " " + json.dumps(said, default=str) + "\n")
    stream.flush()
    answer, _, text = stream.readline().rstrip("\n").partition(" ")
    if answer != "ok":
        raise RuntimeError("hps-record: " + (text or "the recorder is gone"))
    return text


@contextlib.contextmanager
def trial(params=None, number=None, study=None):
    path, report = os.environ.get("HPS_SOCKET"), Report()
    with contextlib.ExitStack() as stack:
        stream = None
        if path:
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.connect(path)
            stream = stack.enter_context(connection.makefile("rw", encoding="utf-8", newline="\n"))
        begun = {"params": params or {}, "number": number, "study": study}
        report.id = _say(stream, "begin", {k: v for k, v in begun.items() if v is not None})
        try:
            yield report
        except BaseException:
            report.state = "failed" if report.state == "complete" else report.state
            raise
        finally:
            numbers = {k: v for k, v in report.items() if isinstance(v, (int, float))}
            _say(stream, "end", {"metrics": numbers, "params": report.params or {}, "state": report.state})


def optuna(objective):
    """The objective with a mark around each call: Optuna's parameters, number, values and pruning."""
    def marked(t):
        import optuna as lib
        study = re.sub("[^A-Za-z0-9_.-]", "-", t.study.study_name).lstrip("-.")[:64]  # a name as hps has them
        with trial(number=t.number, study=study or None) as report:
            try:
                value = objective(t)
            except lib.TrialPruned:
                report.state = "pruned"
                raise
            finally:
                report.params = t.params
            for i, v in enumerate(value if isinstance(value, (tuple, list)) else [value]):
                report["value" if not i else "value_%d" % i] = float(v)
            return value
    return marked
