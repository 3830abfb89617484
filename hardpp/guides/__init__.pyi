from .alignment import StepwiseAlignment as StepwiseAlignment
from .captioner import SentenceInformed as SentenceInformed
from .glimpse import LabelInformed as LabelInformed
from .online_alignment import TargetInformed as TargetInformed
from .prior import Prior as Prior
from .question_answering import AnswerInformed as AnswerInformed
from .smoothed_alignment import SmoothedAlignment as SmoothedAlignment
