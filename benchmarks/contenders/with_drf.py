"""Django REST framework.

It follows https://www.django-rest-framework.org: "Serializers" (validation and representation), "Class-based Views",
"Custom authentication", "Exceptions" (a handler of one's own), and in the settings JSON alone, since nobody browses it.
Django is set up as its own documentation says (django_settings.py), and served by gunicorn with threads.
"""

from typing import Any
from urllib.parse import urlencode

import common
from django.urls import path
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import APIException, AuthenticationFailed, NotAuthenticated, ValidationError
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from tables import work
from tables.models import Post, User


class TokenAuthentication(BaseAuthentication):
    """`request.user` is the id of the caller."""

    def authenticate(self, request: Request) -> tuple[int, None] | None:
        given = get_authorization_header(request)
        if not given:
            return None
        scheme, _, token = given.partition(b" ")
        user_id = work.caller(token.decode("latin-1")) if scheme.lower() == b"bearer" else None
        if user_id is None:
            raise AuthenticationFailed
        return user_id, None

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        return "Bearer"


class HasToken(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002
        return request.user is not None


# Serializers


class StrictText(serializers.CharField):
    """Text as JSON has it: a number is none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictBoolean(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class VoteValue(serializers.Field):
    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int or data not in (1, -1):
            raise serializers.ValidationError("1 or -1")
        return data


class StrictSerializer(serializers.Serializer):
    """Refuses members that it does not know."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values = super().to_internal_value(data)
        if unknown := data.keys() - self.fields.keys():
            raise serializers.ValidationError({name: ["not known"] for name in unknown})
        return values


class PostWrite(StrictSerializer):
    title = StrictText(max_length=300)
    content = StrictText(max_length=50_000)
    published = StrictBoolean(default=True)
    tags = serializers.ListField(child=serializers.RegexField(common.TAG), max_length=10, default=list)


class VoteWrite(StrictSerializer):
    value = VoteValue()


class LoginForm(serializers.Serializer):
    grant_type = serializers.ChoiceField(["password"])
    username = StrictText()
    password = StrictText(max_length=1024)


class ListQuery(serializers.Serializer):
    limit = serializers.IntegerField(min_value=1, max_value=100, default=20)
    q = StrictText(allow_blank=True, default="")


class ListQueryV1(serializers.Serializer):
    limit = serializers.IntegerField(min_value=0, max_value=1000, default=10)
    skip = serializers.IntegerField(min_value=0, max_value=common.MAXIMUM_ID, default=0)
    search = StrictText(allow_blank=True, default="")


class PostOut(serializers.ModelSerializer):
    """A post; its context has the viewer, and the viewer's votes by post."""

    tags = serializers.SerializerMethodField()
    author = serializers.SerializerMethodField()
    votes = serializers.SerializerMethodField()
    my_vote = serializers.SerializerMethodField()

    class Meta:
        model = Post
        fields = (
            "id",
            "title",
            "content",
            "published",
            "tags",
            "author",
            "votes",
            "my_vote",
            "created_at",
            "updated_at",
        )

    def get_tags(self, post: Post) -> list[str]:
        return work.tags_of(post)

    def get_author(self, post: Post) -> dict[str, Any]:
        return {"id": post.owner_id, "display_name": post.owner.shown_name}

    def get_votes(self, post: Post) -> dict[str, int]:
        return {"up": post.votes_up, "down": post.votes_down, "score": post.votes_up - post.votes_down}

    def get_my_vote(self, post: Post) -> int | None:
        return None if self.context["viewer"] is None else self.context["mine"].get(post.id, 0)


class UserV1(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "email", "created_at")


class PostV1(serializers.ModelSerializer):
    owner = UserV1()

    class Meta:
        model = Post
        fields = ("id", "title", "content", "published", "created_at", "owner_id", "owner")


class PostWithVotesV1(serializers.Serializer):
    Post = PostV1(source="*")
    votes = serializers.IntegerField(source="votes_up")


# Views


class View(APIView):
    authentication_classes = (TokenAuthentication,)
    permission_classes = (HasToken,)


class ReadableView(View):
    def get_permissions(self) -> list[BasePermission]:
        return [AllowAny()] if self.request.method == "GET" else super().get_permissions()


class Posts(ReadableView):
    def get(self, request: Request) -> Response:
        query = ListQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        limit, text, viewer = query.validated_data["limit"], query.validated_data["q"], request.user
        found = work.newest(viewer, text, limit + 1)
        shown, cursor, headers = found[:limit], None, {}
        if len(found) > limit:
            last, filters = shown[-1], {"q": text} if text else {}
            cursor = common.next_cursor(request.path, filters, last.created_at.isoformat(), last.id)
            link = urlencode({**request.query_params.dict(), "cursor": cursor})
            headers["Link"] = f'<{request.path}?{link}>; rel="next"'
        data = PostOut(shown, many=True, context={"viewer": viewer, "mine": work.my_votes(viewer, shown)}).data
        page = {"limit": limit, "next_cursor": cursor, "prev_cursor": None}
        return Response({"data": data, "page": page}, headers=headers)

    def post(self, request: Request) -> Response:
        body = PostWrite(data=request.data)
        body.is_valid(raise_exception=True)
        post = work.create(request.user, **body.validated_data)
        shown = PostOut(post, context={"viewer": request.user, "mine": {}}).data
        return Response(shown, 201, headers={"Location": f"/v2/posts/{post.id}"})


class OnePost(ReadableView):
    def get(self, request: Request, post_id: int) -> Response:
        viewer = request.user
        post = work.by_id(viewer, post_id)
        return Response(PostOut(post, context={"viewer": viewer, "mine": work.my_votes(viewer, [post])}).data)


class OneVote(View):
    def put(self, request: Request, post_id: int) -> Response:
        body = VoteWrite(data=request.data)
        body.is_valid(raise_exception=True)
        value = body.validated_data["value"]
        up, down = work.vote(request.user, post_id, value)
        return Response({"value": value, "votes": {"up": up, "down": down, "score": up - down}})


class TokenPair(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def post(self, request: Request) -> Response:
        form = LoginForm(data=request.data)
        form.is_valid(raise_exception=True)
        pair = work.log_in(form.validated_data["username"], form.validated_data["password"])
        return Response(pair, headers={"Cache-Control": "no-store"})


class PostsV1(View):
    def get(self, request: Request) -> Response:
        query = ListQueryV1(data=request.query_params)
        query.is_valid(raise_exception=True)
        values = query.validated_data
        found = work.oldest_id(request.user, values["search"], values["skip"], values["limit"])
        return Response(PostWithVotesV1(found, many=True).data)


class OnePostV1(View):
    def get(self, request: Request, post_id: int) -> Response:
        return Response(PostWithVotesV1(work.by_id(request.user, post_id, with_tags=False)).data)


class Live(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:  # noqa: ARG002
        return Response({"status": "ok"})


# Errors


def refused(error: Exception, context: dict[str, Any]) -> Response | None:
    request, headers, errors = context["request"], {}, None
    match error:
        case AuthenticationFailed() | NotAuthenticated():
            status, headers = 401, {"WWW-Authenticate": "Bearer"}
        case work.NotThere():
            status = 404
        case work.WrongPassword():
            status = 400
        case ValidationError():
            status, errors = 422, _parts(error.detail, "parameter" if request.method == "GET" else "pointer")
        case APIException():
            status = error.status_code
        case _:
            return None
    code, title, detail = common.PROBLEMS.get(status, ("refused", "Refused", "Refused"))
    if request.path.startswith("/v1"):
        return Response({"detail": detail}, status, headers=headers)
    given = common.request_id(request.headers.get("X-Request-ID"))
    content = common.problem(status, code, title, detail, request.path, given, errors)
    return Response(content, status, headers=headers, content_type="application/problem+json")


def _parts(found: Any, where: str, path: str = "") -> list[dict[str, str]]:
    """What is wrong where: the framework gives errors in the form of the input, a dict of dicts and lists."""
    if isinstance(found, dict):
        return [part for step, inner in found.items() for part in _parts(inner, where, f"{path}/{step}")]
    place = path.removeprefix("/") if where == "parameter" else f"#{path}"
    return [{"detail": str(message), where: place, "code": message.code} for message in found]


urlpatterns = [
    path("v2/posts", Posts.as_view()),
    path("v2/posts/<int:post_id>", OnePost.as_view()),
    path("v2/posts/<int:post_id>/vote", OneVote.as_view()),
    path("v2/auth/token", TokenPair.as_view()),
    path("v1/posts", PostsV1.as_view()),
    path("v1/posts/<int:post_id>", OnePostV1.as_view()),
    path("livez", Live.as_view()),
]
