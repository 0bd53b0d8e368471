"""Other people's trainers, fed with the games of karma_envs; one module each, the only ones to import them.

Nothing here is imported by the rest of the package.
"""
