using System.Diagnostics.CodeAnalysis;
using Regatta.Core;

namespace Regatta.Raft;

/// <summary>All groups of one node: starts, stops and drops them, and says when the node must stop.</summary>
public interface IGroupHost : IAsyncDisposable
{
    /// <summary>The nodes of the site.</summary>
    ISiteLink Site { get; }

    /// <summary>Groups that have state or log on this node's disk, started or not.</summary>
    IReadOnlyCollection<long> OnDisk { get; }

    /// <summary>
    /// Completes when a write or sync of the log, or a table's database, has failed: nothing may be acknowledged any more and the
    /// process must end. Carries the cause as a sentence for the operator. Never completes otherwise.
    /// </summary>
    Task<string> Failure { get; }

    /// <summary>Free disk space is below the low-water mark: every group refuses writes until there is room.</summary>
    bool IsDiskLow { get; }

    /// <summary>Opens the group's state and log, replays what is not applied yet and joins the group. Idempotent.</summary>
    /// <exception cref="InvalidDataException">State or log on disk is damaged or of an unknown format; the message names the file or directory.</exception>
    /// <exception cref="OperationCanceledException">Also when the host is closed while the group still waits for what it has lost with its disk.</exception>
    ValueTask<ITableGroup> StartAsync(GroupSpec spec, CancellationToken cancellationToken);

    bool TryGet(long groupId, [NotNullWhen(true)] out ITableGroup? group);

    /// <summary>Stops the group and deletes its state and log, also when it was never started. Idempotent and safe to repeat after a crash.</summary>
    ValueTask DropAsync(long groupId, CancellationToken cancellationToken);

    /// <summary>
    /// Gets a state of a group's table from another site onto the disks of a majority of this one. What was fetched is kept, so that the next call goes on where this one was
    /// interrupted. Its proposal is the caller's.
    /// </summary>
    /// <param name="far">Asks the other site; IOException: it cannot be reached now.</param>
    /// <returns>What to propose to the group. It may be older than what the other site has by now.</returns>
    /// <exception cref="IOException">The other site has none to give now, or it or this node's disk does not work; call again later.</exception>
    /// <exception cref="TimeoutException">The other site did not answer in time; call again later.</exception>
    /// <exception cref="InvalidDataException">What arrives is damaged, or of another life of the table.</exception>
    /// <exception cref="ObjectDisposedException">The group does not run on this node.</exception>
    Task<InstallCommand> StageAsync(long groupId, FarCall far, CancellationToken cancellationToken);

    /// <summary>Answers what <see cref="StageAsync"/> asks on another site: the files of a table, of one moment, in checked pieces.</summary>
    /// <param name="asker">The same for all calls of one that fetches.</param>
    /// <exception cref="InvalidDataException">The request is malformed.</exception>
    /// <exception cref="InvalidOperationException">The group is not on this node.</exception>
    ValueTask<ReadOnlyMemory<byte>> ServeFilesAsync(Guid asker, long groupId, byte call, ReadOnlyMemory<byte> request, CancellationToken cancellationToken);

    /// <summary>
    /// Moves the state and log of a group that does not run out of the way, to the node directory's <c>aside/</c>: nothing is lost, and the group's number
    /// is free. Safe to repeat after a crash.
    /// </summary>
    /// <returns>The directory that holds the group now.</returns>
    /// <exception cref="InvalidOperationException">The group runs.</exception>
    /// <exception cref="IOException">It could not be moved and is still in the way.</exception>
    /// <exception cref="InvalidDataException">Its log is damaged; it is still in the way.</exception>
    ValueTask<string> SetAsideAsync(long groupId, CancellationToken cancellationToken);
}

/// <param name="Name">The table's name, for logs and directories' metadata only.</param>
/// <param name="Incarnation">What the state must carry; a new state is created with it, an existing one that differs is refused.</param>
public sealed record GroupSpec(long GroupId, string Name, Incarnation Incarnation);
