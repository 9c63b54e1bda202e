"""What a warm prompt cache is worth: the cost of staying with a model and of leaving it.

A provider that has read the beginning of a prompt before charges less for reading it again, and
some charge more for the first reading. So the model that answered last is cheaper for the next call
than its list price, and every other one dearer.

Letters: n prompt tokens, k the share of them that the provider has cached, p the price of a token,
r and w the multiples of it for a token read from the cache and written to it, o the tokens of the
answer, T the calls for which a choice holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from routellm_core.monitoring.prices import Price

__all__ = ["CachedCall", "break_even_calls", "break_even_price_ratio"]


class CachedCall(NamedTuple):
    """A call within a conversation, for what it costs here and there.

    Parameters
    ----------
    prompt_tokens
        Tokens of the prompt, at least 0.
    share
        In [0, 1]: the share of them that can be read from the cache of a model that has it.
    answer_tokens
        Expected tokens of the answer, at least 0.

    Examples
    --------
    >>> from routellm_core.monitoring import Price
    >>> large = Price("large", 5e-6, 25e-6, cache_read_usd=0.5e-6, cache_write_usd=6.25e-6)
    >>> small = Price("small", 1e-6, 5e-6, cache_read_usd=0.1e-6, cache_write_usd=1.25e-6)
    >>> call = CachedCall(20_000, 0.85, 500)
    >>> round(call.warm_usd(large), 5), round(call.warm_usd(small) + call.one_off_usd(small), 5)
    (0.036, 0.02675)
    >>> round(call.net_saving_usd(large, small, n_calls=10), 5)
    0.26845
    """

    prompt_tokens: float
    share: float
    answer_tokens: float

    def cold_usd(self, price: Price) -> float:
        """Return what the call costs where nothing is read from a cache or written to it."""
        return self.prompt_tokens * price.input_usd + self.answer_tokens * price.output_usd

    def warm_usd(self, price: Price) -> float:
        """Return what the call costs at a model that has the share cached.

        n p (k r + 1 - k) + o p_o.
        """
        per_token = self.share * price.read_usd + (1.0 - self.share) * price.input_usd
        return self.prompt_tokens * per_token + self.answer_tokens * price.output_usd

    def one_off_usd(self, price: Price, *, own_share: float = 0.0) -> float:
        """Return what the first call costs more at a model that does not have the share cached.

        n (k - k_m) p (w - r).

        Parameters
        ----------
        price
            The model's.
        own_share
            k_m: what it has cached of an earlier call of its own; more than the share counts as
            the share.
        """
        missing = max(0.0, self.share - own_share)
        return self.prompt_tokens * missing * (price.write_usd - price.read_usd)

    def mean_usd(self, price: Price, *, own_share: float = 0.0, n_calls: float = 1.0) -> float:
        """Return the mean cost of a call at a model that keeps the conversation for `n_calls`."""
        return self.warm_usd(price) + self.one_off_usd(price, own_share=own_share) / n_calls

    def net_saving_usd(self, current: Price, other: Price, *, n_calls: float = 1.0) -> float:
        """Return what a switch saves over the next calls; negative where it costs more.

        T (S - B) - E, with S and B the warm costs here and there and E the one-off cost there.

        Parameters
        ----------
        current
            Of the model that has the share cached.
        other
            Of one that has nothing cached.
        n_calls
            T, above 0: for how many calls the switch holds.
        """
        saved = self.warm_usd(current) - self.warm_usd(other)
        return n_calls * saved - self.one_off_usd(other)


def break_even_price_ratio(share: float, *, read: float = 0.1, write: float = 1.25) -> float:
    """Return the price ratio below which leaving a warm model saves on the first call's prompt.

    (k r + 1 - k) / (k w + 1 - k), the other model's price per token over the current one's.

    Parameters
    ----------
    share
        k, in [0, 1].
    read, write
        The multiples r and w, equal for both models.

    Examples
    --------
    >>> [round(break_even_price_ratio(share), 3) for share in (0.5, 0.85, 1.0)]
    [0.489, 0.194, 0.08]
    """
    _check_share(share)
    return (share * read + 1.0 - share) / (share * write + 1.0 - share)


def break_even_calls(
    price_ratio: float, share: float, *, read: float = 0.1, write: float = 1.25
) -> float:
    """Return from how many calls on a switch saves on the prompts.

    E / (S - B) of the prompts alone.

    Parameters
    ----------
    price_ratio
        In (0, 1): the other model's price per token over the current one's.
    share
        k, in [0, 1].
    read, write
        The multiples r and w, equal for both models.

    Examples
    --------
    >>> round(break_even_calls(0.5, 0.85), 2)
    4.16
    """
    _check_share(share)
    if not 0.0 < price_ratio < 1.0:
        raise ConfigurationError(f"`price_ratio` must lie in (0, 1), got {price_ratio!r}.")
    saved = (1.0 - price_ratio) * (share * read + 1.0 - share)
    return share * price_ratio * (write - read) / saved


def _check_share(share: float) -> None:
    if not 0.0 <= share <= 1.0:
        raise ConfigurationError(f"`share` must lie in [0, 1], got {share!r}.")
