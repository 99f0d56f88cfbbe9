using Regatta.Core;
using Regatta.Storage;

namespace Regatta.Raft;

/// <summary>
/// Puts a fetched state in the place of a table's, and its log behind it. The group is stopped meanwhile, its store closed; one call at a time.
/// </summary>
/// <remarks>
/// The former state is deleted when the new one is in place, and the log is cut after that. In between the state is ahead of the log, which
/// opening the group refuses; so whoever opens a group calls <see cref="CompleteAsync"/> first. Each step is durable before the next one begins:
/// <code>
/// step               a crash behind it leaves                           the next start
/// (fetched)          former state, former log                           opens what was there; the fetch finds itself complete
/// 1 marked           the same, and the marker                           goes on with step 2
/// 2 moved away       no state in place; the former and the new one      goes on with step 3
///                    beside it
/// 3 moved in         new state, former log; the former state beside it  goes on with step 4
/// 4 cleared          new state, former log                              goes on with step 5
/// 5 log restarted    new state, its log, the marker                     goes on with step 5, which changes nothing, and 6
/// 6 unmarked         new state, its log                                 opens
/// </code>
/// Which step is next is seen from the directories: the fetched state is in one place or in the other. Step 5 is two rounds of the log, the term
/// and then the cut with the deletions; a crash between them is a crash behind step 4.
/// </remarks>
internal static class SnapshotInstall
{
    /// <returns>False: the table's own state holds as much or more. It stays, and the fetched one is deleted.</returns>
    /// <exception cref="InvalidOperationException">The log begins behind the snapshot; a newer one is needed. Nothing was changed.</exception>
    /// <exception cref="InvalidDataException">The fetched directory does not hold what it should. Nothing was changed.</exception>
    /// <exception cref="StorageCorruptionException">The same, or the table's own state is damaged. Nothing was changed.</exception>
    /// <exception cref="IOException">The disk cannot be written: complete it before the group is opened.</exception>
    public static async Task<bool> RunAsync(NodeDirectory directory, RaftLogStore log, FetchedSnapshot snapshot, Action<InstallStep>? reached = null)
    {
        SnapshotPaths paths = new(directory, snapshot.Group);
        AppliedState applied = snapshot.Applied;
        if (Directory.Exists(paths.Table) && TableStore.ReadFlushed(paths.Table).Index >= applied.Index)
        {
            paths.RemoveDirectories();
            return false;
        }

        if (TableStore.ReadFlushed(paths.State) is var found && found != applied)
            throw new InvalidDataException($"Group {snapshot.Group}: the snapshot in '{paths.State}' should hold {applied}, and holds {found}.");
        if (log.ReadHardState(snapshot.Group) is { } hard && hard.CutIndex > applied.Index)
            throw new InvalidOperationException(
                $"Group {snapshot.Group}: the snapshot is at {applied.Index} and the log begins behind {hard.CutIndex}; a newer snapshot is needed.");
        new InstallMarker(applied.Index, applied.Term, snapshot.LeaderTerm).Write(paths.Marker);
        reached?.Invoke(InstallStep.Marked);
        return await CompleteAsync(directory, log, snapshot.Group, reached).ConfigureAwait(false);
    }

    /// <summary>Finishes what a crash interrupted. To be called before a group's state or log is opened, dropped or set aside.</summary>
    /// <returns>False: there was nothing to do.</returns>
    /// <exception cref="InvalidDataException">The marker is damaged, or the state that it speaks of is not there.</exception>
    public static async Task<bool> CompleteAsync(NodeDirectory directory, RaftLogStore log, long group, Action<InstallStep>? reached = null)
    {
        SnapshotPaths paths = new(directory, group);
        if (InstallMarker.Read(paths.Marker) is not { } marker)
            return false;
        Swap(paths, reached);
        CheckInPlace(paths, group, marker);
        paths.RemoveDirectories();
        reached?.Invoke(InstallStep.Cleared);
        await RestartLogAsync(log, group, marker).ConfigureAwait(false);
        reached?.Invoke(InstallStep.LogRestarted);
        InstallMarker.Remove(paths.Marker);
        reached?.Invoke(InstallStep.Unmarked);
        return true;
    }

    /// <summary>Deletes whatever of a snapshot is here: the group is dropped, its log and state are gone already.</summary>
    public static void Discard(NodeDirectory directory, long group)
    {
        SnapshotPaths paths = new(directory, group);
        InstallMarker.Remove(paths.Marker);
        paths.RemoveDirectories();
    }

    private static void Swap(SnapshotPaths paths, Action<InstallStep>? reached)
    {
        if (!Directory.Exists(paths.State))
            return;
        if (Directory.Exists(paths.Table))
        {
            if (Directory.Exists(paths.Replaced))
                Directory.Delete(paths.Replaced, recursive: true);
            DurableFile.MoveDirectory(paths.Table, paths.Replaced);
        }

        reached?.Invoke(InstallStep.MovedAway);
        DurableFile.MoveDirectory(paths.State, paths.Table);
        reached?.Invoke(InstallStep.MovedIn);
    }

    private static void CheckInPlace(SnapshotPaths paths, long group, InstallMarker marker)
    {
        AppliedState? found = Directory.Exists(paths.Table) ? TableStore.ReadFlushed(paths.Table) : null;
        if (found is { } state && state.Index >= marker.Index && state.Term >= marker.Term)
            return;
        throw new InvalidDataException(
            $"Group {group}: the file '{paths.Marker}' says that the state at {marker.Index} was being installed, but '{paths.Table}' "
            + (found is null ? "does not exist" : $"holds {found.Value.Index}") + ". Something was moved or removed by hand: put it back.");
    }

    private static async Task RestartLogAsync(RaftLogStore log, long group, InstallMarker marker)
    {
        EntryLog entries = new(log, group);
        entries.OpenForRestart();
        if (entries.Term < marker.LeaderTerm)
            await entries.SetTermAsync(hard => hard with { Term = marker.LeaderTerm, Vote = null }).ConfigureAwait(false);
        await entries.RestartBehindAsync(marker.Index, marker.Term).ConfigureAwait(false);
    }
}

/// <summary>How far an installation has come.</summary>
internal enum InstallStep
{
    Marked = 1,
    MovedAway = 2,
    MovedIn = 3,
    Cleared = 4,
    LogRestarted = 5,
    Unmarked = 6,
}
