using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>All groups of one node, over one log and one storage environment.</summary>
public sealed partial class GroupHost : IGroupHost
{
    /// <summary>Groups that stop at once: each may flush.</summary>
    private const int StopParallelism = 8;

    private readonly NodeDirectory _directory;
    private readonly GroupHostOptions _options;
    private readonly GroupSetting _setting;
    private readonly StorageEnvironment _environment;
    private readonly ILogger _logger;
    private readonly SiteNetwork? _network;
    private readonly SnapshotSource _source;
    private readonly ConcurrentDictionary<long, GroupSlot> _slots = new();
    private readonly ConcurrentDictionary<long, byte> _onDisk = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenRegistration _onFailure;
    private readonly MemoryRelief _memory;
    private readonly Heartbeats _heartbeats;
    private readonly Task _roomLoop;
    private readonly Task _maintenanceLoop;
    private readonly Task _memoryLoop;
    private readonly CancellationTokenSource _silent = new();
    private readonly Task _beatLoop;
    private int _disposed;

    private GroupHost(NodeDirectory directory, GroupHostOptions options, StorageEnvironment environment, GroupSetting setting, SiteNetwork? network)
    {
        _directory = directory;
        _options = options;
        _environment = environment;
        _network = network;
        Site = network ?? (ISiteLink)new LoneSite(setting.NodeId);
        _setting = setting with { NeedSnapshot = NeedSnapshot };
        _logger = setting.Loggers.CreateLogger<GroupHost>();
        _fetches = new SemaphoreSlim(options.Site?.SnapshotFetches ?? 1);
        _source = new SnapshotSource(
            directory.ScratchPath,
            Origin,
            new SnapshotSourceOptions { BytesPerSecond = options.SnapshotBytesPerSecond },
            setting.Time,
            setting.Loggers.CreateLogger<SnapshotSource>());
        foreach (long group in setting.Log.Groups().Concat(Numbers(directory.TablesPath)).Concat(Numbers(directory.GenerationsPath)).Concat(Numbers(directory.SnapshotsPath)))
            _onDisk.TryAdd(Math.Abs(group), 0);
        _onFailure = setting.FailStop.Token.UnsafeRegister(static host => ((GroupHost)host!).AbortAll(), this);
        _roomLoop = RunAsync(options.RoomInterval, MeasureRoomAsync, _stopping.Token);
        _maintenanceLoop = RunAsync(options.MaintenanceInterval, MaintainAsync, _stopping.Token);
        _memory = new MemoryRelief(environment, RunningGroups);
        _heartbeats = new Heartbeats(setting.Members, RunningGroups, options.Groups.MaxElectionTimeout, setting.Time);
        _memoryLoop = RunAsync(options.MemoryInterval, RelieveMemoryAsync, _stopping.Token);
        _beatLoop = network is null ? Task.CompletedTask : RunAsync(options.Groups.HeartbeatInterval, BeatAsync, _silent.Token);
    }

    public ISiteLink Site { get; }

    public IReadOnlyCollection<long> OnDisk => [.. _onDisk.Keys.Order()];

    /// <summary>What the groups share; tests crash a node through it.</summary>
    internal GroupSetting Setting => _setting;

    public Task<string> Failure => _setting.FailStop.Failure;

    public bool IsDiskLow => _setting.Room.IsLow;

    /// <summary>
    /// Opens the log and, in a site of several nodes, the connections with the others; returns when the node belongs to a site. Groups are started one by one afterwards.
    /// The directory stays the caller's.
    /// </summary>
    /// <exception cref="InvalidDataException">The log is damaged; the message names it and says what to do.</exception>
    /// <exception cref="IOException">The log cannot be opened, or the address for other nodes not be listened on.</exception>
    /// <exception cref="OperationCanceledException">The node does not belong to a site yet.</exception>
    public static async Task<GroupHost> OpenAsync(
        NodeDirectory dir, GroupHostOptions options, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(dir);
        ArgumentNullException.ThrowIfNull(options);
        FailStop failStop = new();
        StorageEnvironment? environment = null;
        GroupHost? host = null;
        GroupTrace? trace = null;
        try
        {
            environment = new StorageEnvironment(options.Storage, time);
            trace = options.TracePath is { } path ? GroupTrace.Open(path, dir.Identity.NodeId, options.Site?.Members.Count ?? 1) : null;
            RaftLogStore log = await Task.Run(() => RaftLogStore.Open(dir.LogPath, options.Log, failStop, beforeWrite: null, trace), CancellationToken.None).ConfigureAwait(false);
            DiskRoom room = new(options.LowWaterBytes, () => FreeSpace.BytesAvailable(dir.Root));
            room.Measure();
            SiteNetwork? network = options.Site is { Members.Count: > 1 } site ? new SiteNetwork(dir, site, options.Progress, loggers, time) : null;
            SiteMembers members = network?.Members ?? SiteMembers.Alone(dir.Identity.NodeId);
            GroupSetting setting = new(dir.Identity.NodeId, members, log, dir.ScratchPath, failStop, room, options.Groups, loggers, time);
            host = new GroupHost(dir, options, environment, setting, network);
            if (network is not null)
                await network.StartAsync(host, host._source, log, options.Groups, cancellationToken).ConfigureAwait(false);
            return host;
        }
        catch
        {
            if (host is not null)
            {
                await host.DisposeAsync().ConfigureAwait(false);
                throw;
            }

            trace?.Dispose();
            environment?.Dispose();
            failStop.Dispose();
            throw;
        }
    }

    public async ValueTask<ITableGroup> StartAsync(GroupSpec spec, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(spec);
        ArgumentOutOfRangeException.ThrowIfLessThan(spec.GroupId, 1, nameof(spec));
        GroupSlot slot = _slots.GetOrAdd(spec.GroupId, static _ => new GroupSlot());
        await slot.Lock.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
            if (slot.Group is { } running)
                return running;
            slot.BeginStaging();
            // Whatever comes of it: from here on something of it may be there.
            _onDisk.TryAdd(spec.GroupId, 0);
            // A pool thread of its own: opening reads and checks the whole log of the group, and many groups are opened at once.
            slot.Group = new HostedGroup(await Task.Run(() => OpenGroupAsync(slot, spec, cancellationToken), cancellationToken).ConfigureAwait(false));
            AbortIfFailed(slot.Group);
            return slot.Group;
        }
        catch (StorageCorruptionException e)
        {
            throw new InvalidDataException(e.Message, e);
        }
        finally
        {
            slot.Lock.Release();
        }
    }

    public bool TryGet(long groupId, [NotNullWhen(true)] out ITableGroup? group)
    {
        group = _slots.TryGetValue(groupId, out GroupSlot? slot) ? slot.Group : null;
        return group is not null;
    }

    /// <inheritdoc/>
    /// <remarks>
    /// The log goes first, in one synced round, then the state's directory, by one rename. A crash in between leaves state without a log. That
    /// cannot come to life as something else: a state that has applied entries is refused without its log. The other way round a log
    /// that was never cut would bring the deleted table back.
    /// </remarks>
    public async ValueTask DropAsync(long groupId, CancellationToken cancellationToken)
    {
        GroupSlot slot = _slots.GetOrAdd(groupId, static _ => new GroupSlot());
        await slot.Lock.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (slot.Group is { } running)
            {
                slot.Group = null;
                await running.Current.DiscardAsync().ConfigureAwait(false);
            }

            await _setting.Log.DropAsync(groupId).ConfigureAwait(false);
            await EndStagingAsync(slot, () => Remove(groupId)).ConfigureAwait(false);
            _onDisk.TryRemove(groupId, out _);
            LogDropped(groupId);
        }
        finally
        {
            slot.Lock.Release();
        }
    }

    public async ValueTask<string> SetAsideAsync(long groupId, CancellationToken cancellationToken)
    {
        GroupSlot slot = _slots.GetOrAdd(groupId, static _ => new GroupSlot());
        await slot.Lock.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (slot.Group is not null)
                throw new InvalidOperationException($"Group {groupId} runs and cannot be set aside.");
            await SnapshotInstall.CompleteAsync(_directory, _setting.Log, groupId).ConfigureAwait(false);
            string target = await Task.Run(() => GroupAside.MoveAsync(_directory, _setting.Log, groupId), CancellationToken.None).ConfigureAwait(false);
            // Copies of what other nodes have, which nobody has taken for the group's.
            SnapshotInstall.Discard(_directory, groupId);
            SnapshotInstall.Discard(_directory, -groupId);
            _onDisk.TryRemove(groupId, out _);
            return target;
        }
        finally
        {
            slot.Lock.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        await _stopping.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(_roomLoop, _maintenanceLoop, _memoryLoop).ConfigureAwait(false);
        await Task.WhenAll(_catchingUp.Values).ConfigureAwait(false);
        await Task.WhenAll(_staging.Values).ConfigureAwait(false);
        // Until here this node leads, and says so: nobody is to stand meanwhile.
        await HandOverAsync().ConfigureAwait(false);
        await _silent.CancelAsync().ConfigureAwait(false);
        await _beatLoop.ConfigureAwait(false);
        ParallelOptions parallel = new() { MaxDegreeOfParallelism = StopParallelism };
        await Parallel.ForEachAsync(_slots, parallel, async (pair, _) => await StopAsync(pair.Value).ConfigureAwait(false)).ConfigureAwait(false);
        if (_network is not null)
            await _network.DisposeAsync().ConfigureAwait(false);
        await _source.DisposeAsync().ConfigureAwait(false);
        await _onFailure.DisposeAsync().ConfigureAwait(false);
        _setting.Log.Dispose();
        _setting.Log.Trace?.Dispose();
        _environment.Dispose();
        _setting.FailStop.Dispose();
        _fetches.Dispose();
        _stopping.Dispose();
        _silent.Dispose();
    }

    /// <summary>Looks after all groups once, as the timer does.</summary>
    internal async Task MaintainAsync()
    {
        if (_setting.Log.BackgroundError() is { } error)
            _setting.FailStop.Trigger(error);
        // One after the other: flushes of many tables at once would only fight for the disk.
        foreach (GroupSlot slot in _slots.Values)
        {
            if (slot.Group is not { } group)
                continue;
            await group.Current.MaintainAsync().ConfigureAwait(false);
            if (group.Current.IsBroken)
                await MakeAnewAsync(slot).ConfigureAwait(false);
        }

        await _source.SweepAsync().ConfigureAwait(false);
    }

    /// <summary>Sees to the bound on unflushed writes once, as the timer does.</summary>
    internal Task RelieveMemoryAsync() => _memory.RunAsync();

    private Task BeatAsync()
    {
        _heartbeats.Beat();
        return Task.CompletedTask;
    }

    private IEnumerable<TableGroup> RunningGroups() => _slots.Values.Select(static slot => slot.Group?.Current).OfType<TableGroup>();

    /// <summary>Measures the disk once, as the timer does.</summary>
    internal Task MeasureRoomAsync()
    {
        try
        {
            if (_setting.Room.Measure())
                LogRoom(_setting.Room.IsLow ? "refused" : "taken again", _options.LowWaterBytes >> 20);
        }
        catch (IOException e)
        {
            LogRoomUnknown(e);
        }

        return Task.CompletedTask;
    }

    private void Remove(long groupId)
    {
        _directory.Generations(groupId).Drop();
        SnapshotInstall.Discard(_directory, groupId);
        SnapshotInstall.Discard(_directory, -groupId);
    }

    /// <summary>Of the groups that have a directory there; negative where it is for a staged state.</summary>
    private static IEnumerable<long> Numbers(string path)
    {
        if (!Directory.Exists(path))
            yield break;
        foreach (string directory in Directory.EnumerateDirectories(path))
        {
            if (long.TryParse(Path.GetFileName(directory), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long group))
                yield return group;
        }
    }

    private static async Task StopAsync(GroupSlot slot)
    {
        await slot.Lock.WaitAsync().ConfigureAwait(false);
        try
        {
            if (slot.Group is { } group)
                await group.DisposeAsync().ConfigureAwait(false);
        }
        finally
        {
            slot.Lock.Release();
        }
    }

    private void AbortAll()
    {
        string cause = _setting.FailStop.Cause ?? "";
        LogFailStop(cause);
        foreach (GroupSlot slot in _slots.Values)
            slot.Group?.Current.Abort(cause);
    }

    /// <summary>For a group that is in its place now: it may have been made while all were aborted.</summary>
    private void AbortIfFailed(HostedGroup group)
    {
        if (_setting.FailStop.Cause is { } cause)
            group.Current.Abort(cause);
    }

    private async Task RunAsync(TimeSpan period, Func<Task> work, CancellationToken ending)
    {
        using PeriodicTimer timer = new(period, _setting.Time);
        try
        {
            while (await timer.WaitForNextTickAsync(ending).ConfigureAwait(false))
                await QuietlyAsync(work).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            // The host is closing.
        }
    }

    /// <summary>What fails once must not be over for good: nobody would look after the groups any more.</summary>
    private async Task QuietlyAsync(Func<Task> work)
    {
        try
        {
            await Task.Run(work).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            LogWorkFailed(e);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Looking after the groups failed this time")]
    private partial void LogWorkFailed(Exception cause);

    [LoggerMessage(Level = LogLevel.Critical, Message = "The node must stop: {Cause}")]
    private partial void LogFailStop(string cause);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Writes are {What}: the low-water mark of the disk is {LowWater} MiB")]
    private partial void LogRoom(string what, long lowWater);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The free space on the disk cannot be measured")]
    private partial void LogRoomUnknown(Exception cause);

    [LoggerMessage(Level = LogLevel.Information, Message = "Group {Group} is dropped: its log and its state are deleted")]
    private partial void LogDropped(long group);

    /// <summary>One group's place: starts, drops, swaps and stops of the same group wait for each other.</summary>
    private sealed class GroupSlot
    {
        private volatile HostedGroup? _group;

        public SemaphoreSlim Lock { get; } = new(1);

        public HostedGroup? Group
        {
            get => _group;
            set => _group = value;
        }

        /// <summary>What the group was started with.</summary>
        public GroupSpec? Spec { get; set; }

        /// <summary>The state of the group that runs.</summary>
        public StoredGroupState? State { get; set; }

        /// <summary>One state at a time is fetched that may take the place of the group's.</summary>
        public SemaphoreSlim Staging { get; } = new(1);

        /// <summary>One state at a time is fetched from the group's leader.</summary>
        public SemaphoreSlim Fetching { get; } = new(1);

        /// <summary>Cancelled when the group is dropped: nobody needs what is being fetched.</summary>
        public CancellationTokenSource Dropped { get; private set; } = new();

        /// <summary>The group is about to run, perhaps again after it was dropped.</summary>
        public void BeginStaging()
        {
            if (Dropped.IsCancellationRequested)
                Dropped = new CancellationTokenSource();
        }
    }
}
