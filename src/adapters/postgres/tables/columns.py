"""The metadata that all tables are of, and the columns that many have."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKeyConstraint, MetaData, Text, text

metadata = MetaData()


def moment(name: str, *, nullable: bool = False, default: bool = False) -> Column[object]:
    """A moment with its offset; by ``default`` the transaction's."""
    return Column(
        name,
        DateTime(timezone=True),
        nullable=nullable,
        server_default=text("now()") if default else None,
    )


def text_column(name: str) -> Column[str]:
    """A text, empty unless said otherwise."""
    return Column(name, Text, nullable=False, server_default=text("''"))


def count(name: str) -> Column[int]:
    """A number that starts at nothing."""
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def owned_by(table: str, column: str, child: str) -> ForeignKeyConstraint:
    """A row belongs to the same person as what it belongs to: the key names both."""
    return ForeignKeyConstraint(
        [column, "user_id"],
        [f"{table}.id", f"{table}.user_id"],
        name=f"{child}_{column}_fkey",
        ondelete="CASCADE",
    )
