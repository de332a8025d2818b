"""Who am I."""

from litestar import Controller
from litestar.di import NamedDependency

from application.identity.show_user import ShowUser
from application.ports.security import Principal
from domain.identity.user import Permission
from entrypoints.http.access import requires
from entrypoints.http.routing import get
from entrypoints.http.schemas import MeView


class IdentityController(Controller):
    """Accounts."""

    path = "/auth"
    tags = ("Identity",)

    @get("/me", guards=[requires(Permission.ACCOUNT_READ)], summary="Who am I")
    async def me(
        self, principal: NamedDependency[Principal], show_user: NamedDependency[ShowUser]
    ) -> MeView:
        """The signed-in person and their credits."""
        return MeView.of(*await show_user(principal.user_id))
