from .captioner import Captioner as Captioner
from .ctc import CTC as CTC
from .glimpse_classifier import GlimpseClassifier as GlimpseClassifier
from .latent_alignment import LatentAlignment as LatentAlignment
from .online_alignment import OnlineAlignment as OnlineAlignment
from .question_answering import QuestionAnswering as QuestionAnswering
from .transducer import TransducerAlignment as TransducerAlignment
