using Regatta.Core;
using Regatta.Raft;

namespace Regatta.Replication;

/// <summary>Where whole states come from for tables that are too far behind to follow. Thread-safe.</summary>
public interface IStateSource
{
    /// <summary>Gets a state onto the disks of a majority of the site's nodes. Interrupted, the next call goes on where this one was.</summary>
    /// <param name="table">As the leader site knows it.</param>
    /// <returns>What to propose to the group.</returns>
    /// <exception cref="IOException">It cannot be had now; the message says why.</exception>
    /// <exception cref="TimeoutException">The leader site did not answer.</exception>
    /// <exception cref="InvalidDataException">What came was damaged, or is no state of that life.</exception>
    /// <exception cref="ObjectDisposedException">The table's group does not run here any more.</exception>
    Task<InstallCommand> StageAsync(ITableGroup group, string table, Incarnation incarnation, CancellationToken cancellationToken);
}
