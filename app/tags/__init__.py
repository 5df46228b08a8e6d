"""Tags: the coloured labels of a workspace. Owns the table `tag`; announces `tag.changed`; uses no other module.

A name is unique in its workspace without regard to case and accents ("Ação" and "acao" are one tag). Which leads
carry a tag is the leads module's business; deleting a tag takes it off them.
"""
