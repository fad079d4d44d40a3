"""What both Django contenders do with the tables: querysets and transactions, as Django's documentation writes them."""

import secrets
from datetime import timedelta
from typing import Any

import common
from django.db import transaction
from django.db.models import F, Prefetch, Q, QuerySet, Value
from django.db.models.functions import StrIndex
from django.utils import timezone

from tables.models import LoginSession, Post, PostTag, RefreshToken, Tag, User, Vote

_TAGS = Prefetch("tagged", PostTag.objects.select_related("tag").order_by("position"))


class NotThere(Exception):
    """There is no such post, as far as the caller may know."""


class WrongPassword(Exception):
    """The e-mail or the password is wrong."""


def caller(token: str | None) -> int | None:
    """The id of the user whose token it is; None for a bad one, and when its session has ended."""
    claims = common.verify(token) if token else None
    if claims is None:
        return None
    login = LoginSession.objects.filter(id=claims.session_id, user_id=claims.user_id).first()
    if login is None or login.only_token not in (None, claims.token_id):
        return None
    return claims.user_id


def visible(viewer: int | None) -> QuerySet[Post]:
    published = Q(published=True)
    wanted = published if viewer is None else published | Q(owner_id=viewer)
    return Post.objects.filter(wanted).select_related("owner")


def by_id(viewer: int | None, post_id: int, *, with_tags: bool = True) -> Post:
    posts = visible(viewer).prefetch_related(_TAGS) if with_tags else visible(viewer)
    found = posts.filter(id=post_id).first()
    if found is None:
        raise NotThere
    return found


def newest(viewer: int | None, text: str, limit: int) -> list[Post]:
    return list(_with_text(visible(viewer).prefetch_related(_TAGS), text).order_by("-created_at", "-id")[:limit])


def oldest_id(viewer: int, text: str, skip: int, limit: int) -> list[Post]:
    return list(_with_text(visible(viewer), text).order_by("id")[skip : skip + limit])


def _with_text(posts: QuerySet[Post], text: str) -> QuerySet[Post]:
    if not text:
        return posts
    return posts.alias(place=StrIndex("title_folded", Value(text.casefold()))).filter(place__gt=0)


def my_votes(viewer: int | None, posts: list[Post]) -> dict[int, int]:
    """The viewer's votes on these posts, by the post's id."""
    if viewer is None:
        return {}
    mine = Vote.objects.filter(user_id=viewer, post_id__in=[post.id for post in posts])
    return dict(mine.values_list("post_id", "value"))


def tags_of(post: Post) -> list[str]:
    return [tagged.tag.name for tagged in post.tagged.all()]


@transaction.atomic
def create(author: int, title: str, content: str, published: bool, tags: list[str]) -> Post:
    moment = timezone.now()
    post = Post.objects.create(
        title=title,
        title_folded=title.casefold(),
        content=content,
        published=published,
        owner_id=author,
        created_at=moment,
        updated_at=moment,
    )
    names = list(dict.fromkeys(tags))
    known = {tag.name: tag for tag in Tag.objects.filter(name__in=names)}
    if missing := sorted(set(names) - known.keys()):
        Tag.objects.bulk_create([Tag(name=name) for name in missing], ignore_conflicts=True)
        known = {tag.name: tag for tag in Tag.objects.filter(name__in=names)}
    PostTag.objects.bulk_create(
        PostTag(post_id=post.id, tag_id=known[name].id, position=position) for position, name in enumerate(names)
    )
    return by_id(author, post.id)


@transaction.atomic
def vote(voter: int, post_id: int, value: int) -> tuple[int, int]:
    """Make the voter's vote this; gives the post's counters."""
    post = (
        Post.objects.select_for_update(no_key=True)
        .filter(Q(published=True) | Q(owner_id=voter), id=post_id)
        .only("id", "votes_up", "votes_down")
        .first()
    )
    if post is None:
        raise NotThere
    mine = Vote.objects.filter(user_id=voter, post_id=post_id)
    before = mine.values_list("value", flat=True).first()
    if before == value:
        return post.votes_up, post.votes_down
    if before is None:
        Vote.objects.create(user_id=voter, post_id=post_id, value=value, created_at=timezone.now())
    else:
        mine.update(value=value, created_at=timezone.now())
    more_up, more_down = (value == 1) - (before == 1), (value == -1) - (before == -1)
    # Nobody else changes them: the row is locked.
    Post.objects.filter(id=post_id).update(
        votes_up=F("votes_up") + more_up, votes_down=F("votes_down") + more_down, revision=F("revision") + 1
    )
    return post.votes_up + more_up, post.votes_down + more_down


def log_in(email: str, password: str) -> dict[str, Any]:
    """A pair of tokens."""
    user = User.objects.filter(email_key=email.casefold()).only("id", "password_hash").first()
    kept = user.password_hash if user else None
    if not common.password_fits(password, kept) or user is None:
        raise WrongPassword
    moment = timezone.now()
    refresh_token, refresh_hash = common.new_refresh_token()
    session_id, until = secrets.token_hex(16), moment + timedelta(days=common.REFRESH_TOKEN_DAYS)
    with transaction.atomic():
        locked = User.objects.select_for_update().filter(id=user.id).values_list("password_hash", flat=True).first()
        if locked != kept:
            raise WrongPassword
        LoginSession.objects.filter(user_id=user.id, expires_at__lt=moment).delete()
        LoginSession.objects.create(id=session_id, user_id=user.id, created_at=moment, expires_at=until)
        RefreshToken.objects.create(token_hash=refresh_hash, session_id=session_id, created_at=moment, expires_at=until)
    return {
        "access_token": common.issue(user.id, session_id),
        "token_type": "Bearer",
        "expires_in": common.ACCESS_TOKEN_SECONDS,
        "refresh_token": refresh_token,
    }
