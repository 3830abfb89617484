from .CTCSequence import ctc as ctc
from .Categorical import categorical as categorical
from .LinearCategorical import linear_categorical as linear_categorical
from .RepeatedLabel import repeated_label as repeated_label
from .TruncatedNormal import truncated_normal as truncated_normal
