-- The journal: one entry per thing that happened, and for each user the ids of the newest.
local epoch = redis.call('GET', KEY_EPOCH) or '0'

-- Whether nothing more may be written: SQL is too far behind. Ask before anything is changed.
local function journal_is_full(entries)
    local limit = tonumber(redis.call('GET', KEY_JOURNAL_LIMIT) or JOURNAL_LIMIT_DEFAULT)
    return redis.call('XLEN', KEY_JOURNAL) + (entries or 1) > limit
end

-- Writes an entry of a kind, about a user or '' for none, with further fields; answers its id.
local function journal(kind, user, ...)
    if user == '' then
        return redis.call('XADD', KEY_JOURNAL, '*', 'kind', kind, 'epoch', epoch, ...)
    end
    local id = redis.call('XADD', KEY_JOURNAL, '*', 'kind', kind, 'epoch', epoch, 'user', user, ...)
    local tail = KEY_TAIL .. user
    redis.call('RPUSH', tail, id)
    local trimmed_ms = tonumber((redis.call('GET', KEY_JOURNAL_TRIMMED) or '0-0'):match('^%d+'))
    for _ = 1, 4 do
        local oldest = redis.call('LINDEX', tail, 0)
        if not oldest or tonumber(oldest:match('^%d+')) >= trimmed_ms then
            break
        end
        redis.call('LPOP', tail)
    end
    return id
end
