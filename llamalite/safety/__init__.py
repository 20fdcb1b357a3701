"""Safety fine-tuning: context distillation, false refusals, more safety data. Section 4.2."""
