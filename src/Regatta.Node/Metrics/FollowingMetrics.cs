using System.Diagnostics.Metrics;
using System.Text;
using System.Text.Json;
using Regatta.Protocol.V1;
using Regatta.Protocol.V1Ext;

namespace Regatta.Node;

/// <summary>
/// How the tables follow the leader site, of those that this node pulls for: over all nodes of a site each table is there once, or not at all while nobody pulls for it. Observed when somebody asks.
/// </summary>
internal sealed class FollowingMetrics : IDisposable
{
    private readonly Lock _gate = new();
    private readonly SiteFollowing _following;

    // Asked for once for all gauges of one answer.
    private FollowedTable[] _tables = [];

    public FollowingMetrics(SiteFollowing following)
    {
        _following = following;
        Meter = new Meter("Regatta.Node.Following", version: null, tags: null, scope: this);
        Gauge("regatta_replication_index", "Revision of the table, here and as far as is known at the leader site.", static table =>
        [
            new(Long(table.Revision), Label("role", "follower"), Name(table)),
            new(Long(table.Following.LeaderRevision), Label("role", "leader"), Name(table)),
        ]);
        Gauge("regatta_replication_behind_bytes", "About how many bytes of changes the leader site had more when it was heard from last.", static table => [new(Long(table.Following.BehindBytes), Name(table))]);
        Gauge(
            "regatta_replication_behind_milliseconds",
            "For how long the node has known of a revision that it has not applied.",
            static table => [new(Long(table.Following.BehindMs), Name(table))]);
        Gauge("regatta_replication_state", "1 for what the table is doing, 0 for all else.", static table => Enum.GetValues<Following.Types.State>()
            .Where(static state => state != Following.Types.State.Elsewhere)
            .Select(state => new Measurement<long>(state == table.Following.State ? 1 : 0, Label("state", JsonNamingPolicy.SnakeCaseLower.ConvertName(state.ToString())), Name(table))));

        void Gauge(string name, string help, Func<FollowedTable, IEnumerable<Measurement<long>>> read) =>
            Meter.CreateObservableGauge(name, () => _tables.SelectMany(read), null, help);
    }

    private Meter Meter { get; }

    /// <summary>All values of this moment, in Prometheus' text format; nothing at a leader site. Thread-safe.</summary>
    public void Write(StringBuilder text)
    {
        lock (_gate)
        {
            _tables = [.. _following.Local().Tables.Where(static table => table.Following.State != Following.Types.State.Elsewhere)];
            if (_tables.Length > 0)
                PrometheusText.Write(Meter, text);
        }
    }

    public void Dispose() => Meter.Dispose();

    private static long Long(ulong value) => (long)Math.Min(value, long.MaxValue);

    private static KeyValuePair<string, object?> Label(string name, string value) => new(name, value);

    private static KeyValuePair<string, object?> Name(FollowedTable table) => Label("table", table.Name);
}
