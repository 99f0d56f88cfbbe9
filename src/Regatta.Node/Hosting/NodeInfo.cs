using System.Globalization;
using System.Runtime.InteropServices;
using Regatta.Storage;

namespace Regatta.Node;

/// <summary>The node in a line for people, in Cluster.Status.</summary>
internal sealed class NodeInfo(NodeDirectory directory, TimeProvider time)
{
    private readonly DateTimeOffset _started = time.GetUtcNow();

    public string Describe() => string.Create(
        CultureInfo.InvariantCulture,
        $"{(directory.Identity.Role == NodeRole.Leader ? "leader" : "follower")} site, history {directory.Identity.History:N}, store {directory.Identity.Store:N}, data in {directory.Root} "
        + $"({FreeSpace.BytesAvailable(directory.Root)} bytes free), started {_started:O}, {RuntimeInformation.FrameworkDescription}");
}
