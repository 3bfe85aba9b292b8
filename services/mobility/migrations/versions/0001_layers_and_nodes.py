"""Session keys, layers, nodes with the members of routes, records; the permanent layers, and the node of the documentation's example.

A later migration that rebuilds `nodes` on SQLite (`batch_alter_table`) must create the three triggers again.
"""

from __future__ import annotations

import struct

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PERMANENT = (
    ("osm", "civic.osm", "OpenStreetMap", "Objects of OpenStreetMap."),
    ("gtfs", "mobility.schedule", "Public transport operators", "Stops and lines of public transport."),
    ("admr", "administrative.regions", "Authorities", "Administrative regions."),
)
_STATION = (4.9002776, 52.378887)


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("owner_id", sa.String(64), nullable=False),
        sa.Column("key_digest", sa.String(64), nullable=False),
        sa.Column("password_stamp", sa.String(64), nullable=False),
        sa.Column("ends_at", UTCDateTime(), nullable=False),
        sa.Column("last_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("owner_id", name="pk_sessions"),
        sa.UniqueConstraint("key_digest", name="uq_sessions_key_digest"),
    )
    layers = op.create_table(
        "layers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("category", sa.String(100), nullable=False),
        sa.Column("organization", sa.String(200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(254), nullable=False),
        sa.Column("data_sources", sa.JSON(), nullable=False),
        sa.Column("realtime", sa.Boolean(), nullable=False),
        sa.Column("update_rate", sa.Integer(), nullable=True),
        sa.Column("valid_from", UTCDateTime(), nullable=True),
        sa.Column("valid_to", UTCDateTime(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("imported_at", UTCDateTime(), nullable=True),
        sa.Column("min_lon", sa.Double(), nullable=True),
        sa.Column("min_lat", sa.Double(), nullable=True),
        sa.Column("max_lon", sa.Double(), nullable=True),
        sa.Column("max_lat", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_layers"),
        sa.UniqueConstraint("name", name="uq_layers_name"),
        sqlite_autoincrement=True,
    )
    nodes = op.create_table(
        "nodes",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("cdk_id", sa.String(255), nullable=False),
        sa.Column("given_id", sa.String(255), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("node_type", sa.String(6), nullable=False),
        sa.Column("layer_id", sa.Integer(), nullable=True),
        sa.Column("modalities", sa.Integer(), nullable=True),
        sa.Column("min_lon", sa.Double(), nullable=False),
        sa.Column("min_lat", sa.Double(), nullable=False),
        sa.Column("max_lon", sa.Double(), nullable=False),
        sa.Column("max_lat", sa.Double(), nullable=False),
        sa.Column("geom", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_nodes"),
        sa.UniqueConstraint("cdk_id", name="uq_nodes_cdk_id"),
        sa.ForeignKeyConstraint(["layer_id"], ["layers.id"], name="fk_nodes_layer_id_layers"),
        sa.CheckConstraint("node_type IN ('node', 'route', 'ptstop', 'ptline')", name="node_type"),
    )
    op.create_index("ix_nodes_layer_id_id", "nodes", ["layer_id", "id"])
    other = sa.text("node_type <> 'node'")
    op.create_index("ix_nodes_node_type_id", "nodes", ["node_type", "id"], sqlite_where=other, postgresql_where=other)
    op.create_table(
        "members",
        sa.Column("route_id", _BIG, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("node_id", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("route_id", "position", name="pk_members"),
        sa.ForeignKeyConstraint(["route_id"], ["nodes.id"], name="fk_members_route_id_nodes", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name="fk_members_node_id_nodes"),
    )
    op.create_index("ix_members_node_id", "members", ["node_id"])
    records = op.create_table(
        "records",
        sa.Column("node_id", _BIG, nullable=False),
        sa.Column("layer_id", sa.Integer(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("modalities", sa.Integer(), nullable=True),
        sa.Column("valid_from", UTCDateTime(), nullable=True),
        sa.Column("valid_to", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("node_id", "layer_id", name="pk_records"),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name="fk_records_node_id_nodes"),
        sa.ForeignKeyConstraint(["layer_id"], ["layers.id"], name="fk_records_layer_id_layers"),
    )
    op.create_index("ix_records_layer_id_node_id", "records", ["layer_id", "node_id"])
    _index_boxes()
    _fill(layers, nodes, records)


def _index_boxes() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE INDEX ix_nodes_box ON nodes USING gist (box(point(min_lon, min_lat), point(max_lon, max_lat)))")
        # PostGIS, where it is; later by `python -m services.mobility.cli spatial-index`
        if op.get_bind().scalar(sa.text("SELECT to_regprocedure('st_geomfromwkb(bytea, integer)') IS NOT NULL")):
            op.execute("CREATE INDEX ix_nodes_geom ON nodes USING gist (ST_GeomFromWKB(geom, 4326))")
        return
    op.execute("CREATE VIRTUAL TABLE nodes_boxes USING rtree(id, min_lon, max_lon, min_lat, max_lat)")
    insert = "INSERT INTO nodes_boxes VALUES (new.id, new.min_lon, new.max_lon, new.min_lat, new.max_lat)"
    delete = "DELETE FROM nodes_boxes WHERE id = old.id"
    op.execute(f"CREATE TRIGGER nodes_inserted AFTER INSERT ON nodes BEGIN {insert}; END")
    op.execute(f"CREATE TRIGGER nodes_deleted AFTER DELETE ON nodes BEGIN {delete}; END")
    moved = "min_lon, min_lat, max_lon, max_lat"
    op.execute(f"CREATE TRIGGER nodes_moved AFTER UPDATE OF {moved} ON nodes BEGIN {delete}; {insert}; END")


def _fill(layers: sa.Table, nodes: sa.Table, records: sa.Table) -> None:
    connection = op.get_bind()
    lon, lat = _STATION
    for name, category, organization, description in _PERMANENT:
        connection.execute(
            layers.insert().values(
                name=name,
                category=category,
                organization=organization,
                description=description,
                owner_id="",
                owner="",
                data_sources=[],
                realtime=False,
                status="",
                **({"min_lon": lon, "min_lat": lat, "max_lon": lon, "max_lat": lat} if name == "osm" else {}),
            )
        )
    osm = connection.execute(sa.select(layers.c.id).where(layers.c.name == "osm")).scalar_one()
    node_id = connection.execute(
        nodes.insert()
        .values(
            cdk_id="n46419880",
            given_id="n46419880",
            name="Amsterdam Centraal",
            node_type="node",
            layer_id=osm,
            min_lon=lon,
            min_lat=lat,
            max_lon=lon,
            max_lat=lat,
            geom=struct.pack("<BIdd", 1, 1, lon, lat),  # WKB: little-endian, a point
        )
        .returning(nodes.c.id)
    ).scalar_one()
    data = {"name": "Amsterdam Centraal", "public_transport": "station", "railway": "station"}
    connection.execute(records.insert().values(node_id=node_id, layer_id=osm, data=data))
