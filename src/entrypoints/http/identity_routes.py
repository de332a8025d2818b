"""Registering, and who am I."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from application.identity.register_user import RegisterUser, Registration
from application.identity.show_user import ShowUser
from application.ports.security import Principal
from domain.audit.origin import Origin
from domain.identity.user import Permission
from entrypoints.http.access import COST, public, requires
from entrypoints.http.schemas import MeView, RegisterRequest, UserView


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

    @get("/me", guards=[requires(Permission.ACCOUNT_READ)], summary="Who am I")
    async def me(
        self, principal: NamedDependency[Principal], show_user: NamedDependency[ShowUser]
    ) -> MeView:
        """The signed-in person and their credits."""
        return MeView.of(*await show_user(principal.user_id))
