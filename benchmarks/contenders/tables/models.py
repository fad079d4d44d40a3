"""The tables as Django's models; Tandem's migrations make them."""

from typing import ClassVar

from django.db import models


class User(models.Model):
    email = models.TextField()
    email_key = models.TextField(unique=True)
    password_hash = models.TextField(null=True)
    display_name = models.TextField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "users"

    @property
    def shown_name(self) -> str:
        return self.display_name if self.display_name is not None else f"user-{self.pk}"


class LoginSession(models.Model):
    id = models.TextField(primary_key=True)
    user = models.ForeignKey(User, models.CASCADE)
    only_token = models.TextField(null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "sessions"


class RefreshToken(models.Model):
    token_hash = models.TextField(primary_key=True)
    session = models.ForeignKey(LoginSession, models.CASCADE)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "refresh_tokens"


class Tag(models.Model):
    name = models.TextField(unique=True)

    class Meta:
        managed = False
        db_table = "tags"


class Post(models.Model):
    title = models.TextField()
    title_folded = models.TextField()
    content = models.TextField()
    published = models.BooleanField()
    owner = models.ForeignKey(User, models.CASCADE)
    votes_up = models.BigIntegerField(default=0)
    votes_down = models.BigIntegerField(default=0)
    revision = models.BigIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "posts"


class PostTag(models.Model):
    pk = models.CompositePrimaryKey("post_id", "tag_id")
    post = models.ForeignKey(Post, models.CASCADE, related_name="tagged")
    tag = models.ForeignKey(Tag, models.CASCADE)
    position = models.SmallIntegerField()

    class Meta:
        managed = False
        db_table = "post_tags"
        ordering: ClassVar = ["position"]


class Vote(models.Model):
    pk = models.CompositePrimaryKey("user_id", "post_id")
    user = models.ForeignKey(User, models.CASCADE)
    post = models.ForeignKey(Post, models.CASCADE)
    value = models.SmallIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "votes"
