"""PBP with the other published cap rule: the winner pays only what the loser can hold.

Source: the second cap rule of PBP in the literature (Elokda et al. 2023): min(b, k_max - k_loser).
"""

from karma_envs.mechanisms.rule import Rule
from karma_envs.numerics.compile import kernel


@kernel
def pay(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    return min(winner_bid, karma_max - loser_karma), 0


RULE = Rule("pay_capped_bid_to_peer", pay, aliases=("pbp_capped",))
