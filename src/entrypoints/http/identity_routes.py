"""Registering, signing in, and who am I."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK

from application.identity.register_user import RegisterUser, Registration
from application.identity.show_user import ShowUser
from application.identity.sign_in import Credentials, SignIn
from application.ports.security import Principal
from domain.audit.origin import Origin
from domain.identity.user import Permission
from entrypoints.http.access import COST, public, requires
from entrypoints.http.schemas import LoginRequest, MeView, RegisterRequest, TokenView, UserView


class IdentityController(Controller):
    """Accounts."""

    path = "/auth"
    tags = ("Identity",)

    @post("/register", guards=[public], opt={COST: 3}, summary="Register")
    async def register(
        self,
        data: JSONBody[RegisterRequest],
        origin: NamedDependency[Origin],
        register_user: NamedDependency[RegisterUser],
    ) -> UserView:
        """Open an account with its starting grant of credits."""
        user = await register_user(
            Registration(email=data.email, password=data.password, name=data.name, origin=origin)
        )
        return UserView.of(user)

    @post(
        "/login",
        guards=[public],
        opt={COST: 3},
        status_code=HTTP_200_OK,
        summary="Sign in",
    )
    async def login(
        self,
        data: JSONBody[LoginRequest],
        origin: NamedDependency[Origin],
        sign_in: NamedDependency[SignIn],
    ) -> TokenView:
        """Give an access token for an email and its password."""
        user, token = await sign_in(
            Credentials(email=data.email, password=data.password, origin=origin)
        )
        return TokenView(
            access_token=token.token,
            token_type="Bearer",
            expires_at=token.expires_at,
            user=UserView.of(user),
        )

    @get("/me", guards=[requires(Permission.ACCOUNT_READ)], summary="Who am I")
    async def me(
        self, principal: NamedDependency[Principal], show_user: NamedDependency[ShowUser]
    ) -> MeView:
        """The signed-in person and their credits."""
        return MeView.of(*await show_user(principal.user_id))
