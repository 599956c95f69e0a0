from s1_eval.errors import UserError as UserError
from s1_eval.evaluation.api import Result as Result
from s1_eval.evaluation.api import advise as advise
from s1_eval.evaluation.api import compare as compare
from s1_eval.evaluation.api import evaluate as evaluate
from s1_eval.evaluation.api import evaluate_async as evaluate_async
from s1_eval.evaluation.api import read_runs as read_runs
from s1_eval.evaluation.api import score as score
from s1_eval.evaluation.benchmark import Benchmark as Benchmark
from s1_eval.evaluation.benchmark import Sample as Sample
from s1_eval.methods import Method as Method

__version__: str
