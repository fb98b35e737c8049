-- Who may see and use a pool.

local function is_for(user, audience, asker)
    return audience ~= 'friends' or user == asker
        or redis.call('SISMEMBER', KEY_FRIENDS .. user, asker) == 1
        and redis.call('SISMEMBER', KEY_FRIENDS .. asker, user) == 1
end
