"""Training: both stages of the method, resumable, without labels.

`train.train` does it all, `settings.TrainingSettings` says what can be chosen; `adapt`
and `finetune` go on from a model.
"""
