"""Many images of one study: certainty, two graders, what accepted masks teach."""
