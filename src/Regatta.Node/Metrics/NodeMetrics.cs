using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using Regatta.Raft;

namespace Regatta.Node;

/// <summary>
/// The node's instruments. Observed when somebody asks, so they cost nothing in between. Names are those of the Go project where they mean
/// the same. One meter for each node: several may live in one process.
/// </summary>
internal sealed class NodeMetrics : IDisposable
{
    private readonly Lock _gate = new();
    private readonly ServedTables _served;

    // Asked for once for all gauges of one answer.
    private (ServedTable Table, GroupStatus Status)[] _statuses = [];

    public NodeMetrics(ServedTables served, Readiness readiness, ViewSlots iterations, Func<long> freeBytes)
    {
        _served = served;
        Meter = new Meter("Regatta.Node", version: null, tags: null, scope: this);
        Gauge("regatta_applied_index", "Raft index up to which the table's state is built.", status => status.Applied.Index);
        Gauge("regatta_commit_index", "Greatest Raft index known to be committed.", status => status.CommitIndex);
        Gauge("regatta_durable_index", "Raft index up to which the table's files would be found after a power loss.", status => status.FlushedIndex);
        Gauge("regatta_term", "Raft term of the table's group.", status => status.Term);
        Gauge("regatta_has_leader", "1 if the table's group has a leader.", status => status.LeaderNodeId == 0 ? 0 : 1);
        Gauge("regatta_table_revision", "The table's revision.", status => status.Applied.Revision);
        Gauge("regatta_table_oldest_revision", "Oldest revision in the table's changelog; 0 if it is empty.", status => status.OldestRevision);
        Gauge("regatta_table_storage_disk_usage_bytes", "Bytes of the table's files and write buffers.", status => status.StoreBytes);
        Gauge("regatta_table_log_bytes", "Bytes of the table's part of the Raft log.", status => status.LogBytes);
        Meter.CreateObservableGauge("regatta_ready", () => readiness.Reasons().Count == 0 ? 1 : 0, null, "1 if every table accepts writes.");
        Meter.CreateObservableGauge("regatta_tables", () => served.Snapshot.Tables.Count, null, "Tables that are served.");
        Meter.CreateObservableGauge("regatta_tables_faulty", () => served.Snapshot.Faults.Count, null, "Tables that cannot be opened.");
        Meter.CreateObservableGauge("regatta_iterations", () => iterations.Taken, null, "IterateRange calls that run.");
        Meter.CreateObservableGauge("regatta_disk_free_bytes", freeBytes, null, "Free bytes on the file system of the data directory.");

        void Gauge(string name, string help, Func<GroupStatus, long> read) =>
            Meter.CreateObservableGauge(name, () => _statuses.Select(one => Measure(one.Table, read(one.Status))), null, help);
    }

    private Meter Meter { get; }

    /// <summary>All values of this moment, in Prometheus' text format. Thread-safe.</summary>
    public void Write(StringBuilder text)
    {
        lock (_gate)
        {
            _statuses = [.. Statuses()];
            PrometheusText.Write(Meter, text);
        }
    }

    public void Dispose() => Meter.Dispose();

    private IEnumerable<(ServedTable, GroupStatus)> Statuses()
    {
        foreach (ServedTable table in _served.Snapshot.Tables)
        {
            if (table.TryStatus() is { } status)
                yield return (table, status);
        }
    }

    private static Measurement<long> Measure(ServedTable table, long value) => new(
        value,
        new("table", table.Name),
        new("shard_id", table.Group.GroupId.ToString(CultureInfo.InvariantCulture)));
}
