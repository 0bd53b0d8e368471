"""Solvers that go round in three steps: what agents face, how they respond, which population that makes.

With L the population, Gamma_1(L) a response of one agent to it and Gamma_2(pi, L) the population that follows
where all play pi, they iterate L <- Gamma_2(Gamma_1(L), L) until L is its own successor.

===============  =================================  ==============================  ======================
method           Gamma_1                            Gamma_2                         takes
===============  =================================  ==============================  ======================
fixed_point      a best response, exact             at rest                         any mean-field model
three_step       an inner solver, then smoothing    a step of time, or at rest      finite models
naive            exact or Q-learning, argmax-e      a step                          finite models
gmf_v            exact, softmax                     a step, on an epsilon-net       finite models
gmf_q            Q-learning, softmax                a step, on an epsilon-net       finite models
smoothed         exact, softmax                     one or more steps               finite models
learned_response any learner or trainer, from play  at rest, or as it is played     any game with a model
===============  =================================  ==============================  ======================

The parts stand in :mod:`rounds`, :mod:`inner`, :mod:`smoothing` and :mod:`net`;
:mod:`agents.solvers.three_step.contraction` tells what is known of whether such a map contracts.
"""
