namespace Regatta.Node;

/// <summary>Where the node listens, with the ports that the system chose; known before the first call is served.</summary>
internal sealed class NodeAddresses(NodeOptions options)
{
    private ListenAddress _api = options.ApiAddress;

    /// <summary>The URL that clients are told to use.</summary>
    public string Advertised => options.ApiAdvertiseAddress.Length > 0 ? options.ApiAdvertiseAddress : _api.ToString();

    public void Bound(ListenAddress api) => _api = api;
}
