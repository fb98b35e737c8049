-- Announces a game.
--
-- ARGV  who asks, game, title, status
-- Answers {'done'}, {'duplicate'}, or {error code}.

local by, game, title, status = unpack(ARGV)

local known = redis.call('HGET', KEY_GAMES, game)
if known then
    local now = cjson.decode(known)
    if now.title == title and RANKS[status] <= RANKS[now.status] then
        return { 'duplicate' }
    end
    return { EXISTS }
end
if redis.call('HLEN', KEY_GAMES) >= MAX_GAMES then
    return { CONFLICT }
end
if journal_is_full() then
    return { JOURNAL_FULL }
end
set_game(game, title, status, by)
return { 'done' }
