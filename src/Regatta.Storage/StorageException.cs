namespace Regatta.Storage;

/// <summary>
/// The storage below is broken or was refused: not an outcome that a caller handles, but a reason to stop whatever depends on it.
/// The message names the file or directory and says what to do.
/// </summary>
public class StorageException : Exception
{
    public StorageException(string message) : base(message) { }

    public StorageException(string message, Exception cause) : base(message, cause) { }
}

/// <summary>Bytes on disk are not what was written: damaged, missing or mixed up. Nothing was changed.</summary>
public sealed class StorageCorruptionException : StorageException
{
    public StorageCorruptionException(string message) : base(message) { }

    public StorageCorruptionException(string message, Exception cause) : base(message, cause) { }
}

/// <summary>The files are fine, but they are somebody else's: in use by another process, of another node, role or incarnation.</summary>
public sealed class StorageRefusedException : StorageException
{
    public StorageRefusedException(string message) : base(message) { }
}
