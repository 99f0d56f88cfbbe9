using System.Collections.Concurrent;
using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Regatta.Core;
using Regatta.Raft;
using Regatta.Storage;

namespace Regatta.Node;

/// <summary>
/// Makes what runs on this node what the catalogue says: after start, and after every change of the catalogue. It goes by the catalogue's
/// state and not by what happened, so a crash at any point is healed by the next pass. Data is deleted for one reason only: a tombstone for that
/// very group. A group that the catalogue does not know is set aside, before a new table could be given its number and find its data.
/// </summary>
internal sealed partial class TableReconciler(
    IGroupHost host, Catalogue catalogue, Guid history, ulong nodeId, ServedTables served, ILogger<TableReconciler> logger)
{
    // Opening a table is mostly waiting for its files.
    private const int StartedAtOnce = 8;

    private readonly Dictionary<long, ServedTable> _running = [];
    private readonly ConcurrentDictionary<string, (long GroupId, string Reason)> _faults = new(StringComparer.Ordinal);
    private readonly RevisionSignal _reconciled = new();

    /// <summary>The catalogue's revision that the last pass saw.</summary>
    public long Reached => _reconciled.Reached;

    /// <summary>Completes when a pass that saw this revision of the catalogue is over.</summary>
    /// <exception cref="ObjectDisposedException">There will be none: the node stops.</exception>
    public Task WaitAsync(long revision, CancellationToken cancellationToken) => _reconciled.WaitAsync(revision, cancellationToken);

    /// <summary>Goes on until cancelled. The first pass must have been made by <see cref="PassAsync"/>.</summary>
    public async Task RunAsync(long seen, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await catalogue.Group.WaitForRevisionAsync(seen + 1, cancellationToken);
                seen = await PassAsync(cancellationToken);
            }
        }
        finally
        {
            _reconciled.Close();
        }
    }

    /// <summary>
    /// One pass, to be made only when the catalogue is whole (behind a barrier): what it does not know is set aside. Not to be called while another one
    /// runs.
    /// </summary>
    /// <returns>The catalogue's revision that it saw.</returns>
    public async Task<long> PassAsync(CancellationToken cancellationToken)
    {
        CatalogueState state = await catalogue.ReadAsync(cancellationToken);
        await SetAsideUnknownAsync(state, cancellationToken);
        await StartMissingAsync(state, cancellationToken);
        ImmutableArray<long> gone = [.. _running.Keys.Except(state.Tables.Select(table => table.GroupId))];
        foreach (long groupId in gone)
            _running.Remove(groupId);
        // Nobody finds a deleted table from here on; its group stops only after that.
        Publish(state);
        await DropAsync(state, cancellationToken);
        _reconciled.Set(state.Revision);
        return state.Revision;
    }

    private async Task StartMissingAsync(CatalogueState state, CancellationToken cancellationToken)
    {
        ImmutableArray<CatalogueTable> missing = [.. state.Tables.Where(
            table => !_running.ContainsKey(table.GroupId) && !(_faults.TryGetValue(table.Name, out var fault) && fault.GroupId == table.GroupId))];
        if (missing.IsEmpty)
            return;
        ConcurrentBag<ServedTable> started = [];
        await using TableStarts starts = new(catalogue, state, missing, cancellationToken);
        ParallelOptions options = new() { MaxDegreeOfParallelism = StartedAtOnce, CancellationToken = starts.Token };
        await Parallel.ForEachAsync(missing, options, async (table, token) =>
        {
            using CancellationTokenSource any = CancellationTokenSource.CreateLinkedTokenSource(token, starts.Deleted(table));
            try
            {
                if (await StartAsync(table, any.Token) is { } running)
                    started.Add(running);
            }
            catch (OperationCanceledException) when (starts.Deleted(table).IsCancellationRequested && !token.IsCancellationRequested)
            {
                // The next pass sees that it is deleted, and removes what is here of it.
                LogGivenUp(table.Name, table.GroupId);
            }
        });
        foreach (ServedTable table in started)
            _running.Add(table.Group.GroupId, table);
    }

    // A damaged table must not take the others with it: it is reported by name on every call, and the rest is served. A disk that fails is another
    // matter: it fails the node.
    private async Task<ServedTable?> StartAsync(CatalogueTable table, CancellationToken cancellationToken)
    {
        Incarnation incarnation = new(history, table.Revision);
        try
        {
            ITableGroup group = await host.StartAsync(new GroupSpec(table.GroupId, table.Name, incarnation), cancellationToken);
            _faults.TryRemove(table.Name, out _);
            LogStarted(table.Name, table.GroupId, group.Reader.Revision);
            return new ServedTable(table.Name, incarnation, group, nodeId);
        }
        catch (Exception e) when (e is InvalidDataException or StorageRefusedException)
        {
            _faults[table.Name] = (table.GroupId, $"table '{table.Name}' cannot be opened: {e.Message}");
            LogStartFailed(e, table.Name, table.GroupId);
            return null;
        }
    }

    private void Publish(CatalogueState state)
    {
        foreach ((string name, (long groupId, _)) in _faults)
        {
            if (!state.Tables.Any(table => table.Name == name && table.GroupId == groupId))
                _faults.TryRemove(name, out _);
        }
        served.Publish(new TableSnapshot(_running.Values, _faults.ToDictionary(fault => fault.Key, fault => fault.Value.Reason)));
    }

    private async Task DropAsync(CatalogueState state, CancellationToken cancellationToken)
    {
        foreach (long groupId in host.OnDisk.Where(state.Dropped.Contains).ToArray())
        {
            try
            {
                await host.DropAsync(groupId, cancellationToken);
                LogDropped(groupId);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                // The tombstone stays, so the next start tries again.
                LogDropFailed(e, groupId);
            }
        }
    }

    // Failing is final: with it still there, a new table could find it in its place, and that table's deletion would delete it.
    private async Task SetAsideUnknownAsync(CatalogueState state, CancellationToken cancellationToken)
    {
        HashSet<long> known = [CatalogueKeys.CatalogueGroup, .. state.Dropped, .. state.Tables.Select(table => table.GroupId)];
        foreach (long groupId in host.OnDisk.Where(groupId => !known.Contains(groupId)))
        {
            try
            {
                LogSetAside(groupId, await host.SetAsideAsync(groupId, cancellationToken));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new IOException(
                    $"group {groupId} is on this node's disk, but not in the catalogue, and could not be set aside: {e.Message} "
                    + "Nothing was deleted. Make room for it or move its directory away, then start the node again.", e);
            }
        }
    }

    [LoggerMessage(LogLevel.Information, "Table {Table} (group {GroupId}) is open at revision {Revision}.")]
    private partial void LogStarted(string table, long groupId, long revision);

    [LoggerMessage(LogLevel.Information, "Table {Table} (group {GroupId}) was deleted before it was open on this node.")]
    private partial void LogGivenUp(string table, long groupId);

    [LoggerMessage(LogLevel.Error, "Table {Table} (group {GroupId}) cannot be opened and is not served. Restore its files or delete the table; the others go on.")]
    private partial void LogStartFailed(Exception e, string table, long groupId);

    [LoggerMessage(LogLevel.Information, "The data of group {GroupId}, whose table was deleted, is removed.")]
    private partial void LogDropped(long groupId);

    [LoggerMessage(LogLevel.Error, "The data of group {GroupId}, whose table was deleted, could not be removed. The next start tries again.")]
    private partial void LogDropFailed(Exception e, long groupId);

    [LoggerMessage(LogLevel.Warning, "Group {GroupId} was on this node's disk, but is neither a table nor a deleted table in the catalogue. "
        + "Only a deletion recorded in the catalogue deletes data: it is kept in {Directory}. Remove that directory if it is not missed.")]
    private partial void LogSetAside(long groupId, string directory);
}
